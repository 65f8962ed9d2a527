"""Hold the rigs that ours takes to the real validator of Antelop.

Usage: ``python tools/real_antelop.py WHEEL RIG.json...`` with Antelop's wheel, as
``pip download --no-deps --python-version 3.10 --only-binary=:all: antelop==0.1.10`` brings it. Its
validator is run by itself, since the rest of it needs MySQL. Of each file it says what both
validators say of it, and of those that break it in every single place too. Exit code 1 if ours
lets anything through that Antelop's refuses, or a rig that we export is refused.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema

from vrtracker.domain.rigs import for_export, violations

_MODULE = "antelop/utils/antelop_utils.py"
_WRONG: tuple[Any, ...] = (None, 7, "wrong", [], {}, ["wrong"])


def main() -> int:
    """Compare, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("rigs", type=Path, nargs="+")
    options = parser.parse_args()
    real = _real_validator(options.wheel)
    wrong = tried = 0
    for path in options.rigs:
        rig = json.loads(path.read_text("utf-8"))
        for each in [rig, *_broken(rig)]:
            tried += 1
            ours = not violations(each)
            if ours and real(for_export(each)) is not True:
                wrong += 1
                print(f"{path}: ours takes what Antelop's refuses: {each}")
        print(f"{path}: ours {not violations(rig)}, Antelop's {real(for_export(rig))}")
    print(f"{tried} rigs, of which {wrong} are let through by ours alone")
    return int(wrong > 0)


def _real_validator(wheel: Path) -> Callable[[Any], Any]:
    with zipfile.ZipFile(wheel) as archive:
        tree = ast.parse(archive.read(_MODULE))
    wanted = [each for each in tree.body if getattr(each, "name", "") == "validate_behaviour_rig"]
    space: dict[str, Any] = {"jsonschema": jsonschema}
    exec(compile(ast.Module(wanted, []), _MODULE, "exec"), space)  # noqa: S102
    validator: Callable[[Any], Any] = space["validate_behaviour_rig"]
    return validator


def _broken(rig: Any) -> Iterator[Any]:
    """Yield the rig with each of its values taken away, or set to something else."""
    for path in _paths(rig):
        holder = copy.deepcopy(rig)
        inside = holder
        for step in path[:-1]:
            inside = inside[step]
        for value in _WRONG:
            inside[path[-1]] = value
            yield copy.deepcopy(holder)
        del inside[path[-1]]
        yield holder


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps: Any = value if isinstance(value, dict) else range(len(value))
    for step in steps:
        yield (*path, step)
        if isinstance(value[step], dict | list):
            yield from _paths(value[step], (*path, step))


if __name__ == "__main__":
    raise SystemExit(main())
