"""Trials cut out of series by masks, as Antelop cuts them; but strict, and without copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from vrtracker.domain.masks import mask_function
from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

    from vrtracker.services.masks import MaskOutcome
    from vrtracker.tracker import Tracker

    Series = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

__all__ = ["Trials", "mask_function", "recompute_masks", "split_trials"]


def recompute_masks(tracker: Tracker, where: Any = None, /, **options: Any) -> list[MaskOutcome]:
    """Make masks anew; see `vrtracker.services.masks.MaskService.recompute`."""
    found: list[MaskOutcome] = tracker.masks.recompute(where, **options)
    return found


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Trials(Sequence[Any]):
    """Trials of a series: a sequence of (values, times), each made when it is asked for.

    Attributes
    ----------
    starts, stops : ndarray, shape (n_trials,)
        Where in the series a trial begins, and where it has ended.
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
        If shapes do not fit, or the mask does not pair: its `row` is the index in the mask. That
        the times of the data ascend is looked at where trials begin and end alone: to look at all
        of them would take longer than the splitting.

    Examples
    --------
    >>> import numpy as np
    >>> data = np.array([5.0, 6.0, 7.0, 8.0]), np.array([0.0, 1.0, 2.0, 3.0])
    >>> [values.tolist() for values, _ in split_trials(data, ([1, -1], [0.5, 2.0]))]
    [[6.0, 7.0]]
    """
    import numpy as np

    values, times = _pair(data, "data")
    marks, edges = _pair(mask, "mask")
    if values.ndim > 2 or marks.ndim != 1:  # noqa: PLR2004 -- samples, and channels
        raise InvalidValueError(
            f"The data has {values.ndim} dimensions and the mask {marks.ndim}; give (samples,) or "
            "(samples, channels), and a mask of one."
        )
    _check_pairing(marks, edges)
    starts = np.searchsorted(times, edges[0::2], side="left")
    stops = np.searchsorted(times, edges[1::2], side="right" if closed == "both" else "left")
    places = np.sort(np.concatenate((starts, stops, [0, len(times)])))
    seen = times[np.minimum(places, len(times) - 1)] if len(times) else times
    if not (seen[1:] >= seen[:-1]).all() or (starts > stops).any():
        raise InvalidValueError(
            "The times of the data do not ascend; sort values and times together first."
        )
    return Trials(values, times, starts, stops)


def _pair(given: Any, what: str) -> Series:
    import numpy as np

    try:
        values, times = (np.asarray(each) for each in given)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"The {what} is not a pair of arrays, values and times ({error})."
        ) from error
    if times.ndim != 1 or values.shape[:1] != times.shape:
        raise InvalidValueError(
            f"The {what} has values of shape {values.shape} and times of shape {times.shape}; "
            "there must be one time for each sample."
        )
    return values, times


def _check_pairing(marks: np.ndarray[Any, Any], edges: np.ndarray[Any, Any]) -> None:
    if not ((marks[0::2] == 1).all() and (marks[1::2] == -1).all()):
        expected = [1, -1] * ((len(marks) + 1) // 2)
        row = next(at for at, mark in enumerate(marks.tolist()) if mark != expected[at])
        wanted = "begin" if expected[row] == 1 else "end"
        raise InvalidValueError(
            f"At index {row} the mask has {marks[row]}, where a trial must {wanted} "
            f"({expected[row]}): 1 and -1 take turns.",
            row=row,
            value=marks[row],
        )
    if len(marks) % 2:
        row = len(marks) - 1
        raise InvalidValueError(f"The trial that begins at index {row} has no end.", row=row)
    # So that NaN is refused too.
    if not (edges[1:] >= edges[:-1]).all() or (len(edges) and edges[-1] != edges[-1]):
        row = int((~(edges[1:] >= edges[:-1])).argmax()) + 1 if len(edges) > 1 else 0
        raise InvalidValueError(
            f"At index {row} the mask goes back in time, from {edges[max(row - 1, 0)]} to "
            f"{edges[row]}; sort it, or correct what recorded it.",
            row=row,
        )
