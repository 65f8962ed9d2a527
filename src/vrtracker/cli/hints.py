"""What to do next, as commands to type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vrtracker.domain.stages import Stage, StageKind

if TYPE_CHECKING:
    from vrtracker.cli.shell import Shell

_Step = tuple[str, list[str]]


def next_steps(
    stages: Mapping[str, Stage], state: Mapping[str, Any], shell: Shell
) -> list[tuple[str, list[str]]]:
    """Return what is to be done, what failed first, each with its commands.

    `state`: as ``vrtracker status --json`` writes it.
    """
    if not state["sessions"]:
        steps: list[_Step] = [
            ("There are no sessions. Look for them on disk:", ["scan --add-mice"]),
            ("Or bring them in:", ["import table mice FILE", "import table sessions FILE"]),
        ]
    else:
        counts = state["stages"]
        steps = [step for stage in stages.values() for step in _failed(stage, counts[stage.name])]
        if state["held_back"]:
            why = f"{state['held_back']} failed and are not tried now. Until when, or why:"
            steps.append((why, ["errors --held-back"]))
        steps += [step for stage in stages.values() for step in _open(stage, counts[stage.name])]
    return [(why, [shell.command(words) for words in lines]) for why, lines in steps]


def _failed(stage: Stage, counts: Mapping[str, int]) -> Iterator[_Step]:
    failed = counts["failed"]
    if failed and stage.kind is StageKind.PROCESS:
        yield f"{failed} failed: {stage.title}. See why:", [f"errors --stage {stage.name}"]


def _open(stage: Stage, counts: Mapping[str, int]) -> Iterator[_Step]:
    ready, stale = counts["ready"], counts["stale"]
    if stage.kind is StageKind.REVIEW:
        waiting = ready + stale + counts["failed"]
        option = " --include-stale" if stale else ""
        if waiting:
            lines = [f"needs {stage.name}{option}", f"qc set KEY {stage.name} PASS"]
            yield f"{waiting} to judge: {stage.title}. List them, then decide on each:", lines
        return
    named = "" if stage.name == "registration" else f" --stage {stage.name}"
    if ready and not named:
        yield f"{ready} ready: {stage.title}.", ["register"]
    elif ready:
        lines = [f"needs {stage.name}", f"complete KEY {stage.name}"]
        yield f"{ready} ready: {stage.title}. List them, and record what was run:", lines
    if stale:
        yield f"{stale} to make again: {stage.title}.", [f"register{named} --include-stale"]
