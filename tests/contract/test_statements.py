"""What the public calls send to the database: as many statements for ten rows as for a thousand."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.rigs import a_rig
from support.workflow_lab import WorkflowLab

FEW, MANY = "few", "many"
ROWS = {FEW: 10, MANY: 1000}
ROWS_OF_ONE_PORTION = {FEW: 4, MANY: 12}
"""Where a database takes only short lists of values, and longer ones in portions."""
KEY, OTHER, LAST = "M1.2026-02-01.701", "M1.2026-02-01.702", "M1.2026-02-01.703"
EACH_BY_ITSELF = {
    "run": "a session is claimed, worked on and recorded by itself, in transactions of its own",
    "serve": "as run",
    "release": "one claim",
    "apply": "what is applied is planned by a call that is counted",
    "scan": "looks at the disk, and asks once for all rows",
    "reconcile": "looks at the disk, session after session",
    "load_reconciliation": "reads a file",
    "import_csv": "reads a file and plans; see read_table",
    "import_one": "reads files and plans, in portions",
    "merge": "does what import_one does",
    "import_selection": "reads a file",
    "publish": "copies table by table, in portions",
    "back_up": "copies page by page, or table by table",
    "as_of": "copies table by table, in portions",
    "grant": "one user",
    "revoke": "one user",
    "roles": "the users",
    "operation_like": "one look-up",
    "plot": "draws; see tests/contract/test_plots.py",
    "enter": "the sessions of one day",
    "set_dataset_qc": "one file that a run has made",
    "close": "sends nothing",
    "signing_as": "sends nothing",
    "registrar": "sends nothing",
    "retry": "sends nothing",
}
"""Public calls that are not counted here, and why."""
LOOKS_FIRST = {"sessions.update", "mice.update", "edit_csv", "undo"}
"""What looks at up to a hundred rows before it changes them, for edits past the tracker."""


def good(job: Any) -> Any:
    raise AssertionError(job)


def test_every_public_call_takes_as_many_statements_for_many_rows_as_for_few(
    backend, tmp_path, statement_counter
):
    counts, names = {}, set()
    for rows in (FEW, MANY):
        with WorkflowLab(backend.migrated_url(), tmp_path / rows) as lab:
            takes_long_lists = lab.tracker.database.backend.max_in_list > ROWS[MANY]
            size = (ROWS if takes_long_lists else ROWS_OF_ONE_PORTION)[rows]
            filled(lab, size)
            called = calls(lab, size)
            names = set(called)
            for name, call in called.items():
                with statement_counter() as seen:
                    call()
                counts[name, rows] = seen.count

    differing = {name for name in names if counts[name, FEW] != counts[name, MANY]}
    assert differing <= LOOKS_FIRST, counts
    assert all(counts[name, FEW] >= counts[name, MANY] for name in differing), counts
    assert sum(counts[name, FEW] for name in names) > len(names)


def test_no_public_call_is_forgotten_here(lab):
    counted = {name.partition(" ")[0] for name in calls(lab, 1)}
    tracker = lab.tracker
    services = (tracker, tracker.sessions, tracker.mice, tracker.workflow, tracker.recordings)
    there = {
        f"{_prefix(service, tracker)}{name}"
        for service in services
        for name in dir(service)
        if not name.startswith("_")
        and callable(getattr(service, name))
        and (name not in EACH_BY_ITSELF)
        # Parts of the table that hold no rows, and the services themselves.
        and name not in {"coercer", "facts"}
    }
    assert there - counted == set()


def _prefix(service: Any, tracker: Any) -> str:
    found = [name for name, value in vars(tracker).items() if value is service]
    return f"{found[0]}." if found else ""


def filled(lab: WorkflowLab, rows: int) -> None:
    """Add sessions, of which the later ones are registered, scratched or have failed."""
    tracker = lab.tracker
    tracker.mice.add_many([{"mouseName": f"N{number}"} for number in range(rows)])
    tracker.sessions.add_many([row(701 + number) for number in range(rows)])
    lab.folder(KEY).mkdir(parents=True)
    tracker.workflow.run("registration", OTHER, registrar=failing)


def record(experiments: Any, rows: int) -> None:
    uid = experiments.setup(session=KEY)
    experiments.record(uid, [{"parameters": {"x": 1}, "outcomes": 1}] * rows)


def failing(job: Any) -> Any:
    raise ValueError(f"no recording for {job.key}")


def row(number: int, **values: Any) -> dict[str, Any]:
    return {"mouseName": "M1", "sessionDate": "2026-02-01", "sessionID": number, **values}


def calls(lab: WorkflowLab, rows: int) -> dict[str, Callable[[], Any]]:
    """Return the public calls by name, some with what they are asked for, in order."""
    tracker = lab.tracker
    sessions, mice, workflow = tracker.sessions, tracker.mice, tracker.workflow
    new = [row(5000 + number) for number in range(rows)]
    names = [{"mouseName": f"P{number}"} for number in range(rows)]
    folder = lab.root
    return {
        "sessions.find": lambda: sessions.find(KEY),
        "sessions.get": lambda: sessions.get(KEY),
        "sessions.frame": sessions.frame,
        "sessions.frame with mice": lambda: sessions.frame(with_mouse=True),
        "sessions.iter": lambda: list(sessions.iter()),
        "sessions.records": sessions.records,
        "sessions.query": lambda: sessions.query(imaging=False).keys(),
        "sessions.query in parts": lambda: list(sessions.query().iter_frames(5000)),
        "sessions.cross_query": lambda: sessions.cross_query({"a": {}, "b": {"imaging": True}}),
        "browse": tracker.browse,
        "query": lambda: tracker.query(state={"registration": "ready"}).count(),
        "cross_query": lambda: tracker.cross_query({"a": {}, "b": {"imaging": True}}),
        "sessions.count": lambda: sessions.count(imaging=False),
        "sessions.columns": lambda: sessions.columns,
        "sessions.mouse_table": sessions.mouse_table,
        "mice.find": lambda: mice.find("M1"),
        "mice.get": lambda: mice.get("M1"),
        "mice.frame": mice.frame,
        "mice.iter": lambda: list(mice.iter()),
        "mice.records": mice.records,
        "mice.query": lambda: mice.query().records(),
        "mice.cross_query": lambda: mice.cross_query({"a": {}, "b": {"KO": True}}),
        "mice.count": mice.count,
        "workflow.needs": lambda: workflow.needs("registration"),
        "workflow.table": workflow.table,
        "workflow.status": workflow.status,
        "workflow.state_counts": workflow.state_counts,
        "workflow.states": lambda: workflow.states(KEY),
        "workflow.why_not": lambda: workflow.why_not(KEY, "red_cell_qc"),
        "workflow.history": lambda: workflow.history(KEY),
        "workflow.attempts": lambda: workflow.attempts(KEY),
        "workflow.errors": workflow.errors,
        "workflow.error_group": lambda: workflow.error_group(
            workflow.errors(group=True)["group"].iloc[0]
        ),
        "workflow.held_back": lambda: workflow.held_back("registration"),
        "workflow.claims": workflow.claims,
        "workflow.activity": workflow.activity,
        "workflow.stage_events": workflow.stage_events,
        "workflow.outdated": lambda: workflow.outdated("registration", registrar=good),
        "workflow.qc_table": workflow.qc_table,
        "workflow.check_qc": workflow.check_qc,
        "history": lambda: tracker.history(KEY),
        "events": lambda: tracker.events(rows),
        "decisions": lambda: tracker.decisions(KEY),
        "datasets": lambda: tracker.datasets(KEY),
        "freeze": lambda: tracker.freeze("fig3", sessionID=(701, ">=")),
        "selection": lambda: tracker.selection("fig3").frame(),
        "selections": tracker.selections,
        "experiments.record": lambda: record(tracker.experiments, rows),
        "experiments.list": tracker.experiments.list,
        "experiments.frame": tracker.experiments.frame,
        "experiments.export": lambda: tracker.experiments.export(folder / "aepsych.db"),
        "rename_selection": lambda: tracker.rename_selection("fig3", "fig4"),
        "delete_selection": lambda: tracker.delete_selection("fig4"),
        "rigs.add": lambda: tracker.rigs.add(a_rig()),
        "rigs.set": lambda: tracker.rigs.set(None, "b2", mouseName="M1"),
        "rigs.list": tracker.rigs.list,
        "rigs.of": lambda: tracker.rigs.of(KEY),
        "tracking.runs": lambda: tracker.tracking.runs("M1"),
        "export_one": lambda: tracker.export_one(folder / "one", skip_unfit=True),
        "verify": tracker.verify,
        "absorb": tracker.absorb,
        "workflow.scratch": lambda: workflow.scratch(KEY, "measured"),
        "workflow.unscratch": lambda: workflow.unscratch(KEY),
        "workflow.set_qc": lambda: workflow.set_qc(KEY, "session", "PASS"),
        "workflow.complete": lambda: workflow.complete(KEY, "registration"),
        "workflow.reset": lambda: workflow.reset(KEY, "registration"),
        "workflow.exclude": lambda: workflow.exclude(KEY, "registration", "measured"),
        "workflow.include": lambda: workflow.include(KEY, "registration"),
        "recordings.merge": lambda: tracker.recordings.merge(KEY, OTHER, LAST),
        "recordings.parts": lambda: tracker.recordings.parts(KEY),
        "recordings.separate": lambda: tracker.recordings.separate(KEY),
        "recordings.split": lambda: tracker.recordings.split(KEY, 4701, 4702),
        "sessions.add": lambda: sessions.add("M1.2026-02-02.701"),
        "sessions.add_many": lambda: sessions.add_many(new),
        "sessions.update": lambda: sessions.update({"numPlanes": 5}, sessionID=(5000, ">=")),
        "sessions.read_table": lambda: sessions.read_table(written(folder, new, 7000)).apply(),
        "edit_csv": lambda: tracker.edit_csv(written(folder, new, 7000, numPlanes=3)).apply(),
        "mice.add": lambda: mice.add("P"),
        "mice.add_many": lambda: mice.add_many(names),
        "mice.update": lambda: mice.update({"sex": "F"}, mouseName=("P%", "like")),
        "mice.read_table": lambda: mice.read_table(written(folder, names)),
        "undo": lambda: tracker.undo(last=True).apply(),
        "sessions.delete": lambda: sessions.delete(KEY, reason="measured"),
        "sessions.deleted": sessions.deleted,
        "sessions.restore": lambda: sessions.restore(KEY),
        "sessions.delete another": lambda: sessions.delete(OTHER, force=True, reason="measured"),
        "sessions.purge": lambda: sessions.purge(OTHER, reason="measured"),
        "mice.delete": lambda: mice.delete("M1", reason="measured", force=True),
        "mice.deleted": mice.deleted,
        "mice.restore": lambda: mice.restore("M1"),
        "mice.delete another": lambda: mice.delete("P", reason="measured"),
        "mice.purge": lambda: mice.purge("P", reason="measured"),
    }


def written(folder: Path, rows: list[dict[str, Any]], add: int = 0, **more: Any) -> Path:
    """Write rows to a file; with `add` their numbers are that much higher."""
    path = folder / f"{len(rows)}-{add}-{len(more)}.csv"
    with path.open("w", newline="") as file:
        numbered = [r | {"sessionID": r["sessionID"] + add} if add else r for r in rows]
        writer = csv.DictWriter(file, [*numbered[0], *more])
        writer.writeheader()
        writer.writerows(each | more for each in numbered)
    return path
