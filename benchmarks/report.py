"""Put a run's lines into a page, beside what was asked of them, and into a plot."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selection_lines import OLD, READ_SQL

BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"
_PACKAGES = ("pandas", "pyarrow", "SQLAlchemy", "adbc-driver-sqlite", "connectorx", "polars")
_PACKAGES += ("ONE-api", "psycopg")


@dataclass(frozen=True)
class Bound:
    """What is asked of an operation: at most so many floors, at least so many times a peer."""

    floors: float | None = None
    peer: str | None = None
    times: float = 0.0
    of_peer: bool = False
    """At most so many of the peer, in place of a gain."""
    rows: int = 0
    """Of results with so many rows at least."""


BOUNDS: dict[tuple[str, str], Bound] = {
    ("frame, all columns", "sqlite"): Bound(1.35, READ_SQL, 3),
    ("frame, all columns", "postgresql"): Bound(1.25, READ_SQL, 4),
    ("frame, a tenth of the rows", ""): Bound(1.35, OLD, 6, rows=100_000),
    ("frame, three columns", ""): Bound(None, f"{READ_SQL}, all columns", 8, rows=1_000_000),
    (".arrow(), all columns", ""): Bound(1.1, rows=1_000_000),
    (".polars(), all columns", ""): Bound(1.1, rows=1_000_000),
    ("get by key", ""): Bound(2.5, OLD, 1000),
    ("needs, 1 % due, to its SQL", ""): Bound(1.5),
    ("add_many, an event each", ""): Bound(None, "Core executemany, both tables", 2, of_peer=True),
    ("search by dataset and QC", ""): Bound(None, "One.search", 10),
    ("sessions list --limit 5", ""): Bound(2.0),
    ("status", ""): Bound(2.0),
}
_MEMORY = 1.0


def bound_of(line: Any) -> Bound | None:
    """Return what is asked of a line."""
    found = BOUNDS.get((line.operation, line.backend)) or BOUNDS.get((line.operation, ""))
    return found if found and line.rows >= found.rows else None


def page(
    path: Path, lines: Sequence[Any], profiles: Sequence[str], busy: tuple[float, float]
) -> None:
    """Put the numbers into a page, between its two marks."""
    text = path.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [_about(busy), *_table(lines), "", *_peers(lines), "", *profiles]
    path.write_text(f"{before}{BEGIN}\n" + "\n".join(parts) + f"\n{END}{after}", "utf-8")


def _about(busy: tuple[float, float]) -> str:
    versions = []
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    cores = os.cpu_count() or 1
    told = (
        f"Python {platform.python_version()}, {', '.join(versions)}. {cores} processors, which "
        f"{busy[0]:.1f} processes wanted before the run and {busy[1]:.1f} at its end, this run's "
        "among them."
    )
    if busy[0] > cores / 4:
        told += " **The machine did other work: ratios by processor time say more.**"
    return f"{textwrap.fill(told, 119)}\n"


def _table(lines: Sequence[Any]) -> Iterator[str]:
    yield "| work | database | rows | ours | floors | by processor | asked | gain | asked |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for line in lines:
        bound = bound_of(line) or Bound()
        ratio = line.ours / line.floor
        cells = [line.operation, line.backend, f"{line.rows:,}", _time(line.ours)]
        cells += [_marked(ratio, bound.floors is None or ratio <= bound.floors)]
        cells += [f"{line.cpu[0] / line.cpu[1]:.2f}" if line.cpu else ""]
        cells += [f"≤ {bound.floors:g}" if bound.floors else "", *_gain(line, bound)]
        yield f"| {' | '.join(cells)} |"
    for line in lines:
        if line.peak:
            ratio = line.peak["beyond"] / line.peak["size"]
            name = f"memory beyond the result: {line.operation}"
            shown = _marked(ratio, ratio <= _MEMORY)
            size = f"{line.peak['size'] / 1e6:,.0f} MB"
            others = line.peak["others"] / 1e6
            told = f"{others:,.0f} MB in the process that reads" if others else ""
            cells = [name, line.backend, f"{line.rows:,}", size, shown, "", "≤ 1", told, ""]
            yield f"| {' | '.join(cells)} |"


def _gain(line: Any, bound: Bound) -> list[str]:
    if bound.peer is None or bound.peer not in line.peers:
        return ["", ""]
    if bound.of_peer:
        share = line.ours / line.peers[bound.peer]
        shown = f"{_marked(share, share <= bound.times)} of {bound.peer}"
        return [shown, f"≤ {bound.times:g}"]
    gain = line.peers[bound.peer] / line.ours
    told = f"{_marked(gain, gain >= bound.times)} times {bound.peer}"
    if line.cpu and bound.peer in line.peers_cpu:
        told += f" ({line.peers_cpu[bound.peer] / line.cpu[0]:.2f} by processor)"
    return [told, f"≥ {bound.times:g}"]


def _marked(ratio: float, holds: bool) -> str:  # noqa: FBT001
    shown = f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2f}"  # noqa: PLR2004
    return shown if holds else f"**{shown}**"


def _peers(lines: Sequence[Any]) -> Iterator[str]:
    yield "Every contender, in seconds; statements are ours:\n"
    yield "| work | database | rows | statements | contenders |"
    yield "|---|---|---:|---:|---|"
    for line in lines:
        each = {"ours": line.ours, line.floor_name: line.floor, **line.peers}
        told = ", ".join(f"{name} {seconds:.4g}" for name, seconds in each.items())
        yield f"| {line.operation} | {line.backend} | {line.rows:,} | {line.statements} | {told} |"


def _time(seconds: float) -> str:
    if seconds < 1e-3:  # noqa: PLR2004
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def plot(path: Path, lines: Sequence[Any]) -> None:
    """Draw every contender of every line, in floors; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 0.5 * len(lines) + 1), layout="constrained")
    axes = figure.add_subplot()
    for position, line in enumerate(lines):
        axes.plot(line.ours / line.floor, position, "o", color="black")
        for name, seconds in line.peers.items():
            axes.plot(seconds / line.floor, position, "|", color="tab:blue")
            axes.annotate(name, (seconds / line.floor, position), fontsize=5, rotation=20)
    names = [f"{line.operation}, {line.backend}, {line.rows:,}" for line in lines]
    axes.set_yticks(range(len(lines)), names, fontsize=7)
    axes.set(xscale="log", xlabel="of the floor; a dot is ours")
    axes.axvline(1, linewidth=0.5)
    axes.invert_yaxis()
    figure.savefig(path)
