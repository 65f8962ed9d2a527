"""Groups of rows side by side: one frame, labelled."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vrtracker.domain.dates import plain
from vrtracker.errors import InvalidValueError
from vrtracker.services.entries.query import Query

if TYPE_CHECKING:
    import pandas as pd


def cross(
    query: Query[Any, Any],
    groupings: Mapping[str, Mapping[str, Any]],
    **options: Any,
) -> pd.DataFrame:
    """Return the rows of each combination of groups; see `vrtracker.tracker.Tracker.cross_query`.

    `groupings`: for each column of labels: what selects the rows, by label. `**options`: as
    `Query.frame`.
    """
    import pandas as pd

    if not groupings or not all(map(_are_groups, groupings.values())):
        raise InvalidValueError(
            "cross_query takes groups by their labels: {'KO': {'mouse__KO': True}, ...}."
        )
    frames = []
    for combination in itertools.product(*(groups.items() for groups in groupings.values())):
        part = query
        for _, selected in combination:
            part = part.where(selected)
        frame = part.frame(**options)
        for position, (name, groups) in enumerate(groupings.items()):
            if name in frame:
                raise InvalidValueError(
                    f"{name} is a column of the rows; call the groups something else."
                )
            one: Any = pd.Categorical([combination[position][0]], categories=list(groups))
            frame.insert(position, name, one.repeat(len(frame)))
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _are_groups(groups: Any) -> bool:
    """Tell whether what selects them is there by label."""
    if not isinstance(groups, Mapping) or not groups:
        return False
    return all(plain(label) is not None for label in groups)
