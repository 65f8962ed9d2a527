"""``vrtracker export``: what other packages read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from vrtracker.as_json import KEY
from vrtracker.cli.commands import Commands
from vrtracker.cli.exits import Exit
from vrtracker.cli.filters import Filters, IncludeScratched, Where, filters_of
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Columns, Json, Key, Unblind, What, argument, option
from vrtracker.cli.output import answer, note, say, write_json
from vrtracker.cli.progress import running
from vrtracker.cli.shell import shell_of
from vrtracker.cli.values import names_of

exports = Commands(help="Write files that other packages read.")
_Overwrite = Annotated[bool, option("--overwrite", "Replace files that are there.")]


@exports.command("table")
def export_table(
    context: typer.Context,
    what: Annotated[What, argument("mice|sessions", "What to write.")],
    file: Annotated[
        Path,
        argument("FILE", ".csv, .tsv, .parquet, .arrow or .feather; .json for a list of sessions."),
    ],
    *,
    where: Where = None,
    include_scratched: IncludeScratched = False,
    columns: Columns = None,
    unblind: Unblind = False,
    json: Json = False,
) -> None:
    """Write mice or sessions into a file, of the kind that its ending names.

    import table reads it again. A list of sessions (.json) has mouse_name, date and session_id of
    each, as jobs on clusters take them. A file that is there is replaced.

    Example: vrtracker export table sessions imaging.parquet --where imaging

    Example: vrtracker export table sessions jobs.json --where "state.registration = done"
    """
    filters = filters_of(where)
    with shell_of(context).open(readonly=True) as tracker:
        service: Any = tracker.mice if what is What.MICE else tracker.sessions
        query = service.query(filters, include_scratched=include_scratched)
        names = [
            each
            for name in names_of(columns) or "*"
            for each in (service.key_columns if name == KEY else (name,))
        ]
        rows = query.select(*names).write(file, show_blinded=unblind)
    answer(
        {"rows": rows, "file": str(file)}, f"{counted(rows, 'row')} written to {file}", json=json
    )


@exports.command("one")
def export_one(
    context: typer.Context,
    folder: Annotated[str, argument("FOLDER", "Where the tables go.")],
    *,
    filters: Filters,
    skip_unfit: Annotated[
        bool, option("--skip-unfit", "Leave out sessions that ONE cannot hold, and say so.")
    ] = False,
    json: Json = False,
) -> None:
    """Write sessions.pqt and datasets.pqt, a cache that ONE-api loads.

    Ids are the same at every export. If one of the sessions has a number above 999, or a name
    that ONE does not read, nothing is written, unless they may be left out; nor if no session is
    selected, or FOLDER has tables that vrtracker did not write. Datasets are those on record: scan
    them before.

    Example: vrtracker export one /data/lab --where imaging=true

    Example: vrtracker export one cache --since 2023-01-01 --skip-unfit --json
    """
    with shell_of(context).open(readonly=True) as tracker:
        made = tracker.export_one(folder, filters, skip_unfit=skip_unfit)
    if json:
        write_json(dataclasses.asdict(made))
        return
    for each in made.left_out:
        say(f"left out: {each.key}: {each.reason}")
    if made.unhashed:
        note(
            f"{counted(made.unhashed, 'dataset')} without a hash, so that none was written; "
            "vrtracker datasets scan --all reads the files; of a session without a folder here "
            "none can be made."
        )
    say(
        f"{counted(made.sessions, 'session')} and {counted(made.datasets, 'dataset')} "
        f"written to {made.folder}"
    )


@exports.command("aepsych")
def export_aepsych(
    context: typer.Context,
    file: Annotated[str, argument("FILE", "A new file.")],
    *,
    experiment: Annotated[
        list[str] | None, option("--experiment ID", "This one alone. Repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Write experiments as a database of AEPsych, in the newest form of its tables.

    Example: vrtracker export aepsych all.db --json
    """
    with shell_of(context).open(readonly=True) as tracker:
        counts = tracker.experiments.export(file, experiment or None)
    answer(counts, f"{counted(counts['trials'], 'trial')} written to {file}", json=json)


@exports.command("nwb")
def export_nwb(
    context: typer.Context,
    key: Key,
    file: Annotated[Path, argument("FILE", "Such as session.nwb.")],
    *,
    overwrite: _Overwrite = False,
    unblind: Unblind = False,
    json: Json = False,
) -> None:
    """Write a session as one file of Neurodata Without Borders.

    It holds the subject, the session, the rig as a device, trials where there are any, the ALF
    arrays (with their times, or as tables), and the ROIs and traces of suite2p. Needs the extra
    "nwb" of the package.

    Example: vrtracker export nwb ATL012.2023-01-20.702 702.nwb
    """
    from vrtracker.interop.nwb import export_nwb as export

    with shell_of(context).open(readonly=True) as tracker:
        made = export(tracker, key, file, overwrite=overwrite, show_blinded=unblind)
    answer(dataclasses.asdict(made), str(made), json=json)


@exports.command("nwb-all")
def export_nwb_all(
    context: typer.Context,
    folder: Annotated[Path, argument("FOLDER", "Where the files go.")],
    *,
    filters: Filters,
    overwrite: _Overwrite = False,
    unblind: Unblind = False,
    json: Json = False,
) -> None:
    """Write sessions as NWB, each as FOLDER/MOUSE/MOUSE_DATE_NUMBER.nwb.

    Files that are there are passed over, so that a run that broke off is gone on with; exit code 3
    if some sessions failed.

    Example: vrtracker export nwb-all /data/nwb --mouse ATL012 --imaging
    """
    from vrtracker.interop.nwb import export_many

    with shell_of(context).open(readonly=True) as tracker, running("writing NWB") as progress:
        written, passed, failed = export_many(
            tracker,
            folder,
            filters,
            overwrite=overwrite,
            show_blinded=unblind,
            progress=progress,
        )
    if json:
        document: dict[str, Any] = {
            "written": [dataclasses.asdict(each) for each in written],
            "passed_over": [str(key) for key in passed],
            "failed": [{"key": str(key), "message": why} for key, why in failed],
        }
        write_json(document)
    else:
        for key, why in failed:
            say(f"failed: {key}: {why}")
        said = counted(len(written), "session")
        say(f"{said} written, {len(passed)} there already, {len(failed)} failed")
    if failed:
        raise typer.Exit(Exit.SOME_FAILED)
