"""Run the project's static checks: the same ones at a desk, before a commit and in CI.

Usage: ``python tools/check.py [--fix] [lint] [format] [types] [layers] [workflows]
[citation]``.
Without names all of them run, and all are reported before the exit code says whether one failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CHECKS: dict[str, list[str]] = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
    "layers": ["lint-imports"],
    "workflows": [
        *("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
        *map(str, sorted(ROOT.glob(".github/workflows/*.yml"))),
    ],
    "citation": [
        *("check-jsonschema", "--builtin-schema", "vendor.citation-file-format", "CITATION.cff"),
    ],
}
FIXES: dict[str, list[str]] = {
    "lint": ["ruff", "check", "--fix", "."],
    "format": ["ruff", "format", "."],
}


def command(name: str, *, fix: bool) -> list[str]:
    """Return the command line of a check, with its tool taken from this interpreter's scripts."""
    words = FIXES.get(name, CHECKS[name]) if fix else CHECKS[name]
    beside = Path(sysconfig.get_path("scripts")) / words[0]
    return [str(beside) if beside.exists() else words[0], *words[1:]]


def main() -> int:
    """Run the checks that were named and return the number that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(CHECKS)}")
    parser.add_argument("--fix", action="store_true", help="mend what lint and format can mend")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(CHECKS))
    if unknown:
        parser.error(f"no check is called {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    failed = []
    for name in arguments.names or CHECKS:
        words = command(name, fix=arguments.fix)
        print(f"--- {name}: {Path(words[0]).name} {' '.join(words[1:])}", flush=True)
        if subprocess.run(words, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"--- failed: {', '.join(failed)}" if failed else "--- all checks passed", flush=True)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
