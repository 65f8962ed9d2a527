"""Pages of the documentation, done as they say.

``python tests/support/pages.py docs/start.md`` prints what a reader would type, for bash.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["PROJECT", "blocks", "follow", "script", "shell"]

PROJECT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# (\w[\w.]*\.\w+)\n")


def blocks(page: str, language: str) -> list[str]:
    """Return a page's blocks of a language."""
    return [text for found, text in _all(page) if found == language]


def _all(page: str) -> list[tuple[str, str]]:
    return _BLOCK.findall((PROJECT / page).read_text(encoding="utf-8"))


def follow(page: str, *, until: str | None = None) -> None:
    """Do in this process what a page says, in the folder and environment of the test.

    ``sh``: each line, which must end well; ``python``: all blocks with the same names; a block
    that begins with ``# name.ext`` is written to that file; ``text``: each line stands in what the
    block before it wrote, in this order.

    Parameters
    ----------
    until
        Stop before the first block with this text.
    """
    names: dict[str, object] = {}
    told = ""
    for language, block in _all(page):
        file = _FILE.match(block)
        if until is not None and until in block:
            return
        if file:
            Path(file[1]).write_text(block, encoding="utf-8")
        elif language == "sh":
            told = shell(block)
        elif language == "python":
            exec(compile(block, page, "exec"), names)
        elif language == "text":
            _require(told, block.splitlines(), page)


def shell(block: str) -> str:
    """Run the lines of a block that are ours, set what it exports, and return what was written."""
    from support.command_line import run

    told = []
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(os.path.expandvars(line), comments=True)
        if words[:1] == ["export"]:
            os.environ.update(word.split("=", 1) for word in words[1:])
        elif words[:1] == ["vrtracker"]:
            result = run(*words[1:])
            assert result.exit_code == 0, (line, result.output, result.exception)
            told.append(result.output)
            if words[1] == "backup":
                time.sleep(1)  # its name has the second in it, and nobody types faster
        else:
            assert not words or words[:2] == ["pip", "install"], f"who runs {line!r}?"
    return "".join(told)


def _require(told: str, lines: Sequence[str], page: str) -> None:
    place = 0
    for line in lines:
        place = told.find(line.strip(), place)
        assert place >= 0, f"{page} shows {line!r}, and this was written:\n{told}"


def script(page: str) -> str:
    """Return a page as a script for bash; a block of Python is a process of its own."""
    lines = ["set -euxo pipefail"]
    for language, block in _all(page):
        if language == "sh":
            lines.append(block)
        elif language == "python":
            lines.append(f"python - <<'END'\n{block}END\n")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(script(sys.argv[1]))
