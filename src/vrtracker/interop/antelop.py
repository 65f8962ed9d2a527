"""Trials cut out of series by masks, as Antelop cuts them; but strict, and without copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from vrtracker.domain.masks import mask_function, mask_of, series_of
from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

    from vrtracker.services.masks import MaskOutcome
    from vrtracker.tracker import Tracker

    Series = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

__all__ = ["Trials", "mask_function", "recompute_masks", "split_trials"]


def recompute_masks(tracker: Tracker, where: Any = None, /, **options: Any) -> list[MaskOutcome]:
    """Make masks anew; see `vrtracker.services.masks.MaskService.recompute`.

    Examples
    --------
    >>> from vrtracker.interop.antelop import recompute_masks
    >>> recompute_masks(tracker, "mouseName = DEMO001")
    []
    """
    found: list[MaskOutcome] = tracker.masks.recompute(where, **options)
    return found


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Trials(Sequence[Any]):
    """Trials of a series: a sequence of (values, times), each made when it is asked for.

    Attributes
    ----------
    starts, stops : ndarray, shape (n_trials,)
        Where in the series a trial begins, and where it has ended.

    Examples
    --------
    >>> from vrtracker.interop.antelop import split_trials
    >>> trials = split_trials(([5.0, 6.0, 7.0], [0.0, 1.0, 2.0]), ([1, -1], [0.5, 2.0]))
    >>> len(trials), trials.starts, trials.stops
    (1, array([1]), array([3]))
    """

    values: Any
    times: Any
    starts: Any
    stops: Any

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, at: int) -> Series: ...

    @overload
    def __getitem__(self, at: slice) -> list[Series]: ...

    def __getitem__(self, at: int | slice) -> Series | list[Series]:
        if isinstance(at, slice):
            return [self[place] for place in range(len(self))[at]]
        within = slice(int(self.starts[at]), int(self.stops[at]))
        return self.values[within], self.times[within]

    def __repr__(self) -> str:
        return f"<{len(self)} trials of {len(self.times)} samples>"


def split_trials(data: Any, mask: Any, *, closed: Literal["both", "left"] = "both") -> Trials:
    """Cut a series into trials.

    Parameters
    ----------
    data : (values, times)
        ``values`` of shape ``(n_samples,)`` or ``(n_samples, n_channels)``; ``times`` ascending,
        shape ``(n_samples,)``, s.
    mask : (values, times)
        1 where a trial begins and -1 where it ends, in turn; ``times`` ascending, in the unit of
        those of the data.
    closed
        ``both``: a sample at the end of a trial belongs to it, and to the next one too if that
        begins there. ``left``: it does not.

    Returns
    -------
    Trials
        A sequence of (values, times), one a trial: views of the data, empty where a trial has no
        sample. To have all at once: ``list(split_trials(...))``.

    Raises
    ------
    InvalidValueError
        If shapes do not fit, `closed` is no such word, or the mask does not pair: its `row` is the
        index in the mask. That
        the times of the data ascend is looked at where trials begin and end alone: to look at all
        of them would take longer than the splitting.

    Examples
    --------
    >>> import numpy as np
    >>> from vrtracker.interop.antelop import split_trials
    >>> data = np.array([5.0, 6.0, 7.0, 8.0]), np.array([0.0, 1.0, 2.0, 3.0])
    >>> [values.tolist() for values, _ in split_trials(data, ([1, -1], [0.5, 2.0]))]
    [[6.0, 7.0]]
    """
    import numpy as np

    if closed not in {"both", "left"}:
        raise InvalidValueError(f"closed is 'both' or 'left', not {closed!r}.")
    values, times = series_of(data, "data")
    if values.ndim > 2:  # noqa: PLR2004 -- samples, and channels
        raise InvalidValueError(
            f"The data has {values.ndim} dimensions; give (samples,) or (samples, channels)."
        )
    _, edges = mask_of(mask)
    starts = np.searchsorted(times, edges[0::2], side="left")
    stops = np.searchsorted(times, edges[1::2], side="right" if closed == "both" else "left")
    places = np.sort(np.concatenate((starts, stops, [0, len(times)])))
    seen = times[np.minimum(places, len(times) - 1)] if len(times) else times
    if not (seen[1:] >= seen[:-1]).all() or (starts > stops).any():
        if (missing := np.isnan(times)).any():
            row = int(missing.argmax())
            raise InvalidValueError(
                f"At index {row} the data has no time (NaN); leave that sample out.", row=row
            )
        raise InvalidValueError(
            "The times of the data do not ascend; sort values and times together first."
        )
    return Trials(values, times, starts, stops)
