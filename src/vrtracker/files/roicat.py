"""Find what ROICaT left in the folder of a mouse; arrays are hashed, and no pickle is read."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.tracking import KINDS, FoundRun, TrackedFiles, run_hash
from vrtracker.errors import VrtrackerError
from vrtracker.files.alf import hash_twice
from vrtracker.files.trees import is_hidden

_KIND = re.compile(rf"(?:(?P<stem>.*)[._])?(?P<kind>{'|'.join(KINDS)})\.npy")
_STEM = re.compile(
    r"(?P<mouse>.+)_(?P<date>\d{4}-\d{2}-\d{2})_(?P<number>\d+)(?:[._](?P<rest>.+))?"
)
_PLANE = re.compile(r"(?:^|[._])plane_?(\d+)(?:$|[._])")
_SETTINGS = re.compile(r".*(params|parameters|run_data).*\.json")
_VERSIONS = ("roicat_version", "ROICaT_version", "version")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass
class _Group:
    """The files of one plane in one folder."""

    sessions: dict[SessionKey, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    shared: dict[str, str] = field(default_factory=dict)


def find_runs(folder: Path, root: Path) -> tuple[list[FoundRun], list[tuple[str, str]]]:
    """Return the runs below the folder of a mouse, and what is wrong with others: path, problem.

    Folders of sessions, whose names are dates, are not looked into.

    Raises OSError if a folder or file cannot be looked at.
    """
    runs, problems = [], []
    for place in _places(folder):
        groups, settings = _look(place)
        for plane, group in sorted(groups.items(), key=lambda each: (each[0] is not None, each[0])):
            try:
                runs.append(_run(place, plane, group, settings, root=root, mouse=folder.name))
            except (ValueError, VrtrackerError) as error:
                problems.append((str(place), str(error)))
    return runs, problems


def _places(folder: Path) -> Iterator[Path]:
    """Yield the folders that may hold a run: those of the mouse, and one level below."""
    for place in _folders(folder):
        if not _DATE.fullmatch(place.name):
            yield place
            yield from _folders(place)


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not is_hidden(e.name) and e.is_dir()]
    return [folder / name for name in sorted(names)]


def _look(place: Path) -> tuple[dict[int | None, _Group], list[str]]:
    groups: dict[int | None, _Group] = defaultdict(_Group)
    settings = []
    of_folder = _plane_in(place.name)
    with os.scandir(place) as entries:
        names = sorted(entry.name for entry in entries)
    shared = []
    for name in names:
        if (match := _KIND.fullmatch(name)) is not None:
            stem = match["stem"] or ""
            session = _STEM.fullmatch(stem)
            plane = _plane_in((session["rest"] or "") if session else stem)
            plane = of_folder if plane is None else plane
            if session is None:
                shared.append((plane, match["kind"], name))
                continue
            text = f"{session['mouse']}.{session['date']}.{int(session['number'])}"
            key = SessionKey.parse(text)
            groups[plane].sessions[key][match["kind"]] = name
        elif _SETTINGS.fullmatch(name):
            settings.append(name)
    for plane, kind, name in shared:
        if plane in groups:
            groups[plane].shared[kind] = name
    return groups, settings


def _run(
    place: Path, plane: int | None, group: _Group, names: list[str], *, root: Path, mouse: str
) -> FoundRun:
    hashes: dict[str, dict[str, str]] = {}

    def file(name: str) -> dict[str, str]:
        if name not in hashes:
            hashes[name] = {"name": name, "sha256": hash_twice(place / name)[1]}
        return hashes[name]

    sessions = []
    for key in sorted(group.sessions):
        if key.mouse != mouse:
            raise ValueError(f"{next(iter(group.sessions[key].values()))} is of another mouse.")
        found = {**group.shared, **group.sessions[key]}
        lacks = [kind for kind in KINDS if kind not in found]
        if lacks:
            raise ValueError(f"{key} has no {' and no '.join(lacks)}; run ROICaT again.")
        modified = (place / found["labels"]).stat().st_mtime
        at = dt.datetime.fromtimestamp(int(modified), dt.UTC)
        sessions.append(TrackedFiles(key, {kind: file(found[kind]) for kind in KINDS}, at))
    settings = {}
    for name in names:
        if _plane_in(name) in {None, plane}:
            settings[name] = _json(place / name)
            file(name)
    return FoundRun(
        run=run_hash(list(hashes.values())),
        mouse=mouse,
        folder=place.relative_to(root).as_posix(),
        plane=plane,
        made_by=_version(settings),
        settings=settings or None,
        sessions=tuple(sessions),
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is no JSON ({error}).") from error


def _version(settings: Mapping[str, Any]) -> str | None:
    found = (
        each[name]
        for each in settings.values()
        if isinstance(each, dict)
        for name in _VERSIONS
        if name in each
    )
    return next((each[:63] for each in found if isinstance(each, str)), None)


def _plane_in(text: str) -> int | None:
    match = _PLANE.search(text)
    return None if match is None else int(match[1])
