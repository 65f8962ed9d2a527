"""``vrtracker plot``: pictures of the lab, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vrtracker.cli.filters import Imaging, Mouse, Since, Until, Where, filters_of
from vrtracker.cli.options import Json, argument, option
from vrtracker.cli.output import answer
from vrtracker.cli.shell import shell_of
from vrtracker.errors import InvalidValueError, MissingDependencyError

_FORMATS = (".png", ".svg", ".pdf")


def plot(
    context: typer.Context,
    name: Annotated[
        str,
        argument(
            "NAME",
            "pipeline, progress, throughput, quality, durations, failures, sizes, timeline "
            "(with --mouse) or stages.",
        ),
    ],
    *,
    out: Annotated[Path, option("--out FILE", "Where to: .png, .svg or .pdf.")],
    where: Where = None,
    mouse: Mouse = None,
    since: Since = None,
    until: Until = None,
    imaging: Imaging = None,
    by: Annotated[
        str | None, option("--by WAY", "Of quality: mouse, reviewer or agreement.")
    ] = None,
    json: Json = False,
) -> None:
    """Draw a picture of the lab into a file.

    Example: vrtracker plot pipeline --mouse ATL012 --out pipeline.png
    """
    if out.suffix.lower() not in _FORMATS:
        raise InvalidValueError(f"{out} is no picture; give a name in {', '.join(_FORMATS)}.")
    if not out.parent.is_dir():
        raise InvalidValueError(f"There is no folder {out.parent}; make it first.")
    if name == "timeline" and len(mouse or ()) != 1:
        raise InvalidValueError("A timeline is of one mouse; give --mouse NAME.")
    options: dict[str, Any] = {} if by is None else {"by": by}
    if by is not None and name != "quality":
        raise InvalidValueError("--by belongs to quality.")
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingDependencyError("A plot", "plot") from error
    mpl.use("Agg")
    filters = filters_of(where, mouse=mouse, since=since, until=until, imaging=imaging)
    with shell_of(context).open(readonly=True) as tracker:
        if name == "stages":
            ax = tracker.plot(name)
        elif name == "timeline" and mouse:
            ax = tracker.plot(name, mouse[0])
        else:
            ax = tracker.plot(name, filters, **options)
        figure: Any = ax.figure
        figure.savefig(out, dpi=200)
    answer({"plot": name, "path": str(out)}, str(out), json=json)
