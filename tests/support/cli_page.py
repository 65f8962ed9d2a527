"""The page ``docs/cli.md``, made from the commands that exist.

``python tests/support/cli_page.py`` writes it anew; a test holds the file to it.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from typer.main import get_command

from support.command_line import commands
from vrtracker.cli.app import app
from vrtracker.cli.exits import Exit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
_FILTERS = ("where", "mouse", "date", "since", "until", "imaging")

_INTRODUCTION = """\
# The command line

`vrtracker [global options] COMMAND [arguments and options]`. Every command has `--help`.
This page is made from the commands themselves (`python tests/support/cli_page.py`).

{global_options}

The database is the one that `--url` names, else `VRTRACKER_URL`, else that of the profile
(`VRTRACKER_PROFILE`, else the default one). The root is the one of `--root`, else
`VRTRACKER_ROOT`, else the profile's.

## What is written where

- Standard output holds the answer alone: a table for people, or with `--json` one JSON document.
  Dates and times in JSON are ISO 8601 (the tracker's own in UTC, the lab's columns in the lab's
  clock), a missing value is `null`, numbers are numbers.
- In a pipe or file a table has one line a row, and nothing is cut. On a terminal long texts are
  folded; keys never are.
- Standard error holds remarks, progress bars (on a terminal alone) and errors: one line that
  starts with `error:`. `--debug` before the command shows the traceback too.

## Exit codes

| code | meaning |
|---:|---|
{exit_codes}

## Filters

`sessions list`, `sessions edit`, `needs`, `status`, `register` and `reconcile` take the same
filters. All that are given must hold.

{filters}

| condition | means |
|---|---|
| `--where imaging=true` | equal; `true`, `yes`, `1` and their opposites for tick boxes |
| `--where "sessionID>=701"` | also `>`, `<`, `<=`, `!=`; one `>=` and one `<=` make a range |
| `--where "mouseName~ATL%"` | like: `%` stands for any text, `_` for one; A to Z in either case |
| `--where "experimentID=1,2"` | any of several; with `!=` none of them |
| `--where 'sessionNotes="slow, late"'` | a value with a comma, in double quotes |
| `--where "experimentType="` | the value is missing; with `!=` it is there |
| `--where mouse__KO=true` | a column of the session's mouse |

Listings leave scratched sessions out, unless `--include-scratched` is given or `sessionQC` is
filtered. `sessions edit` and `status` take them in.

# Commands
"""


def render() -> str:
    """Return the whole page."""
    root = get_command(app)
    codes = "\n".join(f"| {code.value} | {code.meaning} |" for code in Exit)
    sections = list(commands())
    listing = next(command for words, command in sections if words == "sessions list")
    filters = [param for param in listing.params if param.name in _FILTERS]
    parts = [
        _INTRODUCTION.format(
            global_options=_options(root.params), exit_codes=codes, filters=_options(filters)
        )
    ]
    parts += [_section(words, command) for words, command in sections]
    return "\n".join(parts)


def _section(words: str, command: Any) -> str:
    paragraphs = inspect.cleandoc(command.help).split("\n\n")
    told = [" ".join(text.split()) for text in paragraphs if not text.startswith("Example:")]
    shown = [text.removeprefix("Example: ") for text in paragraphs if text.startswith("Example:")]
    params = [param for param in command.params if "--help" not in param.opts]
    own = [param for param in params if not _is_filter(param, params)]
    options = _options(own)
    if len(own) < len(params):
        options += "\n- the filters above"
    examples = "\n".join(["```sh", *shown, "```"])
    return "\n\n".join([f"## vrtracker {words}", *told, examples, options]) + "\n"


def _is_filter(param: Any, params: list[Any]) -> bool:
    names = {other.name for other in params}
    return param.name in _FILTERS and names.issuperset(_FILTERS)


def _options(params: list[Any]) -> str:
    return "\n".join(f"- {_spelling(param)}: {_help(param)}" for param in params)


def _spelling(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{param.metavar}`" + ("" if param.required else " (may be left out)")
    names = [*param.opts, *param.secondary_opts]
    value = "" if param.is_flag else f" {param.metavar}"
    return ", ".join(f"`{name}{value}`" for name in names)


def _help(param: Any) -> str:
    default = param.default
    told = " ".join(param.help.split())
    shown = default not in (None, False) and param.param_type_name in {"argument", "option"}
    return f"{told} Default: `{default}`." if shown and not callable(default) else told


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
