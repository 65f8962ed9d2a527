"""In a notebook: a table to filter and select in, progress bars, completion inside of texts.

``%load_ext vrtracker.notebook`` completes columns, stages, checks and mice within quotes, once a
tracker stands in the notebook; `bar` makes what ``progress=`` of ``workflow.run`` takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vrtracker.errors import MissingDependencyError
from vrtracker.services.entries.completing import names_of
from vrtracker.services.entries.sessions import SessionService

if TYPE_CHECKING:
    from vrtracker.notebook.browser import Browser

__all__ = ["bar", "browse", "completions", "load_ipython_extension"]

_OPEN_TEXT = re.compile(r"""["']([^"']*?)([\w.]*)$""")
_MOST_MICE = 500


def browse(sessions: SessionService, where: Any, columns: Iterable[str], filters: Any) -> Browser:
    """Return the widget of `Tracker.browse`.

    Raises MissingDependencyError if anywidget is not installed.
    """
    try:
        from vrtracker.notebook.browser import Browser
    except ImportError as error:
        raise MissingDependencyError("A table to select in", "notebook") from error
    return Browser.of(sessions, where, list(columns), filters)


def bar(description: str = "sessions", **options: Any) -> Callable[[int, int, Any, Any], None]:
    """Return a progress bar for ``tracker.workflow.run(stage, progress=bar())``.

    It is a widget in a notebook and text elsewhere, as ``tqdm.auto`` decides.

    `description`: what stands before it. `**options`: for ``tqdm``. Raises MissingDependencyError
    if tqdm is not installed.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise MissingDependencyError("A progress bar", "notebook") from error
    shown = tqdm(desc=description, **options)

    def advance(number: int, count: int, key: Any, result: Any) -> None:
        shown.total = count
        shown.set_postfix_str(str(key))
        if result is not None:
            shown.n = number
        if result is not None and number >= count:
            shown.close()
        else:
            shown.refresh()

    return advance


def load_ipython_extension(shell: Any) -> None:
    """Complete within quotes; IPython calls it for ``%load_ext vrtracker.notebook``."""

    def matcher(typed: str) -> list[str]:
        return completions(shell.Completer.line_buffer or typed, shell.user_ns)

    shell.Completer.custom_matchers.append(matcher)


def completions(line: str, names: Mapping[str, Any]) -> list[str]:
    """Return what can stand at the end of a line, within an open quote.

    `line`: what was typed so far. `names`: the notebook's variables; the first tracker among them
    that the line names is asked.
    """
    found = _OPEN_TEXT.search(line)
    words = set(re.findall(r"\w+", line))
    tracker = next(
        (names[name] for name in names if name in words and _is_tracker(names[name])), None
    )
    if found is None or tracker is None:
        return []
    begun = found[2]
    return sorted(name for name in _known(tracker) if name.startswith(begun))


def _is_tracker(value: Any) -> bool:
    return getattr(type(value), "browse", None) is not None and hasattr(value, "workflow")


def _known(tracker: Any) -> set[str]:
    mice = tracker.mice.query().limit(_MOST_MICE).keys()
    return {*names_of(tracker.sessions), *tracker.workflow.stages, *mice}
