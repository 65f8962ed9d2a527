"""What suite2p made of a session: the mean image with ROIs, and traces of chosen cells."""

from __future__ import annotations

import contextlib
import http
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response

from vrtracker.errors import InvalidValueError, NotFoundError, RootUnavailableError, VrtrackerError
from vrtracker.files.planes import Plane, State, planes_of, read_plane, read_trace
from vrtracker.tracker import Tracker
from vrtracker.web import drawing
from vrtracker.web.problems import Refusal
from vrtracker.web.rendering import Renderer

_FIRST = 3
"""Cells that are chosen where nobody has chosen any."""
_PATIENCE_S = 20
_reading = threading.Lock()
"""One asker is at the drives at a time: one that does not answer takes no more than one thread."""
_NUMBER = re.compile(r"[0-9]{1,9}")
_Choice = Callable[[Plane], list[int]]
_Place = Annotated[int | None, Query(ge=0, le=10_000)]


def add_routes(router: APIRouter, tracker: Tracker, renderer: Renderer) -> None:
    """Add the page of a session's planes, its part of the session's page, and its pictures."""

    @router.get("/sessions/{key}/imaging")
    def page(
        key: str,
        *,
        plane: int | None = None,
        cells: str | None = None,
        of: int | None = None,
        x: Annotated[_Place, Query(alias="at.x")] = None,
        y: Annotated[_Place, Query(alias="at.y")] = None,
    ) -> HTMLResponse:
        other = of not in {None, plane}
        place = None if x is None or y is None or other else (x, y)
        choose = partial(_chosen, cells=cells, other=other)
        return renderer.show("imaging.html", _shown(tracker, key, plane, choose, place))

    @router.get("/sessions/{key}/planes")
    def part(key: str) -> HTMLResponse:
        return renderer.show("planes.html", _shown(tracker, key, None, _chosen, None))

    @router.get("/sessions/{key}/planes/{number}")
    def picture(key: str, number: int, cells: str = "") -> Response:
        session = tracker.sessions.get(key)
        with _alone():
            plane = _read(planes_of(session.open().path), number, key)
        return Response(drawing.picture(plane, _chosen(plane, cells)), media_type="image/png")


def _shown(
    tracker: Tracker, key: str, number: int | None, choose: _Choice, place: Any
) -> dict[str, Any]:
    """Return what is shown of a plane, the first one when not given."""
    session = tracker.sessions.get(key)
    facts: dict[str, Any] = {"key": str(session.key), "planes": [], "missing": []}
    with _alone():
        try:
            folders = planes_of(session.open().path)
        except RootUnavailableError as error:
            return facts | {"missing": [str(error)]}
        if not folders:
            told = f"suite2p has left no plane in {session.path}; run it, or mount its drive."
            return facts | {"missing": [told]}
        number = min(folders) if number is None else number
        plane = _read(folders, number, facts["key"])
        shown = _about(folders[number][0], number, plane, choose, place)
    return facts | {"planes": list(folders)} | shown


def _about(folder: Path, number: int, plane: Plane, choose: _Choice, place: Any) -> dict[str, Any]:
    chosen = choose(plane)
    clicked = None if place is None else drawing.roi_at(plane, *place)
    if clicked is not None:
        others = [each for each in chosen if each != clicked]
        chosen = others if clicked in chosen else [*others[1 - len(drawing.COLOURS) :], clicked]
    missing, traces, frames = list(plane.missing), [], 0
    for lane, cell in enumerate(chosen):
        try:
            trace = read_trace(folder, cell, len(plane.is_cell))
        except VrtrackerError as error:
            missing.append(f"No traces: {error}")
            break
        frames = len(trace)
        told: dict[str, Any] = {"number": cell, "is_cell": bool(plane.is_cell[cell])}
        told |= {"colour": drawing.COLOURS[lane], "points": drawing.points(trace, lane)}
        told |= {"size": int((plane.pixels[0] == cell).sum())}
        traces.append(told | ({"mean": trace.mean(), "most": trace.max()} if frames else {}))
    return {
        "plane": number,
        "chosen": ", ".join(map(str, chosen)),
        "rois": len(plane.is_cell),
        "cells": int(plane.is_cell.sum()),
        "has_picture": plane.image is not None or plane.pixels.size > 0,
        "traces": traces,
        "width": drawing.WIDTH,
        "lane": drawing.LANE,
        "length": f"{frames / plane.rate:.0f} s" if plane.rate else f"{frames} frames",
        "missing": missing,
    }


def _chosen(plane: Plane, cells: str | None = None, *, other: bool = False) -> list[int]:
    """Return the ROIs that a text names; the first cells where there is none.

    `other`: the text was written for another plane; what this one does not have is left out.

    Raises InvalidValueError if it names others than there are, or too many.
    """
    if cells is None:
        return [int(each) for each in plane.is_cell.nonzero()[0][:_FIRST]]
    named, known = list(dict.fromkeys(re.findall(r"[^\s,;]+", cells))), len(plane.is_cell)
    wrong = [each for each in named if not (_NUMBER.fullmatch(each) and int(each) < known)]
    if other:
        named = [each for each in named if each not in wrong]
    elif wrong:
        there = f"which are 0 to {known - 1}" if known else "since the plane has none"
        raise InvalidValueError(f"{wrong[0]!r} is none of the ROIs, {there}.")
    if len(named) > len(drawing.COLOURS):
        raise InvalidValueError(f"At most {len(drawing.COLOURS)} cells are shown at once.")
    return [int(each) for each in named]


def _read(folders: Mapping[int, tuple[Path, State]], number: int, key: str) -> Plane:
    """Return a plane as its files are now; read again once one of them is another one."""
    if number not in folders:
        raise NotFoundError("plane", str(number), [str(each) for each in folders], at=key)
    plane = _kept(*folders[number])
    if plane.may_pass:
        _kept.cache_clear()
    return plane


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    if not _reading.acquire(timeout=_PATIENCE_S):
        said = "The files of another plane are being read and take long."
        raise Refusal(http.HTTPStatus.SERVICE_UNAVAILABLE, "busy", said, "Try again in a while.")
    try:
        yield
    finally:
        _reading.release()


@lru_cache(maxsize=4)
def _kept(folder: Path, _state: State) -> Plane:
    return read_plane(folder)
