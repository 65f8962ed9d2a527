"""List what the package stands on: version, licence, which extra brings it, and what is newer.

Usage: ``python tools/licences.py [--json] [--newest]``, in an environment that has the extras of
which you want to know. Metadata say no date, so age is how far a version is behind: ``--newest``
has pip ask its index, and adds the newest version of what is not up to date.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "vrtracker"
LONGEST = 60
"""Of what is a licence's name, and not its text."""
OURS = frozenset({"benchmarks", "dev", "docs", "test"})
"""Extras for those who work on the package, which its users never get."""


def bringers() -> dict[str, set[str]]:
    """Return what is installed of the requirements, of theirs too, and which extras bring it."""
    extras = set(metadata.metadata(ROOT).get_all("Provides-Extra") or []) - OURS
    found: dict[str, set[str]] = {}
    for extra in ["", *sorted(extras)]:
        waiting = [Requirement(f"{ROOT}[{extra}]" if extra else ROOT)]
        seen: set[tuple[str, frozenset[str]]] = set()
        while waiting:
            wanted = waiting.pop()
            name, asked = canonicalize_name(wanted.name), frozenset(wanted.extras)
            if (name, asked) in seen or not _is_installed(name):
                continue
            seen.add((name, asked))
            if name != ROOT:
                found.setdefault(name, set()).add(extra)
            for line in metadata.requires(name) or []:
                further = Requirement(line)
                if further.marker is None or _holds(further.marker, asked):
                    waiting.append(further)
    return found


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _holds(marker: Any, extras: frozenset[str]) -> bool:
    return any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def licence_of(name: str) -> str:
    """Return the licence that a distribution states, in as few words as it does."""
    stated = metadata.metadata(name)
    classified = [
        line.rpartition(" :: ")[2]
        for line in stated.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    words = (stated.get("License") or "").strip().splitlines()
    short = words[0] if words and len(words[0]) < LONGEST else ""
    return stated.get("License-Expression") or ", ".join(classified) or short or "not stated"


def newest() -> dict[str, str]:
    """Return the newest version of what is behind it, as pip finds it."""
    words = ["-m", "pip", "list", "--outdated", "--format=json", "--disable-pip-version-check"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    listed = json.loads(done.stdout)
    return {canonicalize_name(row["name"]): row["latest_version"] for row in listed}


def main() -> int:
    """Print the list; return 1 if a licence is not stated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one document for programs")
    parser.add_argument("--newest", action="store_true", help="ask pip's index what is newer")
    arguments = parser.parse_args()
    newer = newest() if arguments.newest else {}
    rows = [
        {
            "name": name,
            "version": metadata.version(name),
            "licence": licence_of(name),
            "extras": [] if "" in extras else sorted(extras),
            "newest": newer.get(name, ""),
        }
        for name, extras in sorted(bringers().items())
    ]
    if arguments.json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            brought = ", ".join(row["extras"]) or "always"
            told = [row["name"], row["version"], row["licence"], brought, row["newest"]]
            print("\t".join(told).rstrip())
    return int(any(row["licence"] == "not stated" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
