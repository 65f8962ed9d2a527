"""Have the real `Database` of aisynphys read a file that we baked, and compare what it says.

Usage: ``python tools/real_aisynphys.py FOLDER --source CHECKOUT --python PYTHON``. CHECKOUT is a
clone of github.com/AllenInstitute/aisynphys, PYTHON one with SQLAlchemy 1.4, pandas below 2.2,
numpy below 2 and setuptools. In FOLDER, which must not be there yet, a lab of 2,000 sessions is
made and baked. Their class, of which nothing is stood in for but the packages that it imports
beside, then lists its tables and reads its frames; and bakes a table of 2,000 rows of its own,
where it loses one. Exit code 1 if they differ from ours.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

ROWS = 2000
FRAMES = {"sessiondb": "uSessionID", "mousedb": "uMouseID"}


def main() -> int:
    """Run our half, and theirs in the other interpreter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--source", type=Path, required=True, metavar="CHECKOUT")
    parser.add_argument("--python", metavar="PYTHON")
    given = parser.parse_args()
    if given.python is None:
        return theirs(given.folder, given.source)
    given.folder.mkdir(parents=True)
    expected = ours(given.folder)
    (given.folder / "expected.json").write_text(json.dumps(expected))
    line = [given.python, __file__, str(given.folder), "--source", str(given.source)]
    return subprocess.run(line, check=False).returncode


def ours(folder: Path) -> dict[str, Any]:
    """Make a lab, bake it, and return what we read of the baked file."""
    import vrtracker

    with vrtracker.init(folder / "lab.db") as tracker:
        tracker.mice.add_many(
            [{"mouseName": f"M{number}", "KO": number % 2} for number in range(4)]
        )
        tracker.sessions.add_many([_session(number) for number in range(ROWS)])
        tracker.sessions.update({"sessionNotes": "naïve ✓"}, "M0.2023-01-20.0")
    vrtracker.bake(folder / "lab.db", folder / "baked.db")
    with vrtracker.open(folder / "baked.db", readonly=True) as baked:
        frames = {
            "sessiondb": baked.sessions.frame(include_scratched=True),
            "mousedb": baked.mice.frame(show_blinded=True),
        }
        return {
            "tables": baked.database.table_names(),
            **{name: _cells(frame, FRAMES[name]) for name, frame in frames.items()},
        }


def _session(number: int) -> dict[str, Any]:
    return {
        "mouseName": f"M{number % 4}",
        "sessionDate": "2023-01-20",
        "sessionID": number,
        "imaging": number % 3 == 0,
        "numPlanes": number % 6 or None,
        "headPlateRotation": number / 7 if number % 2 else None,
        "experimentType": ("Blender VR", None)[number % 2],
    }


def _cells(frame: Any, key: str) -> dict[str, dict[str, Any]]:
    """Return the cells by row and column, alike from both."""
    rows = frame.to_dict("records")
    return {str(row[key]): {str(k): _plain(v) for k, v in row.items()} for row in rows}


def _plain(value: Any) -> Any:
    if value is None or value != value or type(value).__name__ in {"NAType", "NaTType"}:  # noqa: PLR0124
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    found = value.item() if hasattr(value, "item") else value
    return int(found) if isinstance(found, float) and math.floor(found) == found else found


# -- in the other interpreter --------------------------------------------------------------------


def theirs(folder: Path, source: Path) -> int:
    """Compare what their class reads with what we do; return the exit code."""
    import pandas as pd
    import sqlalchemy as sa

    database = load(source)
    expected = json.loads((folder / "expected.json").read_text())
    path = str(folder / "baked.db")
    base = mapped(path)
    db = database(ro_host="sqlite:///", rw_host=None, db_name=path, ormbase=base)
    checks = {"tables": sorted(filter(_is_table, db.table_names())) == expected["tables"]}
    for name, key in FRAMES.items():
        frame = db.query(getattr(db, name.capitalize())).dataframe()
        frame.columns = [column.rpartition(".")[2] for column in frame.columns]
        found = _cells(frame, key)
        wanted = expected[name]
        shared = sorted(set(frame.columns) & set(next(iter(wanted.values()))))
        checks[f"{name}: {len(found)} rows, {len(shared)} columns"] = len(shared) == len(
            frame.columns
        ) and all(found[row][column] == wanted[row][column] for row in wanted for column in shared)
        checks[f"{name}: no row more or less"] = found.keys() == wanted.keys()
    kept = baked_by_them(database, folder)
    checks[f"their own bake of {ROWS} rows keeps {kept}, ours {ROWS}"] = (
        kept == ROWS - 1 and len(expected["sessiondb"]) == ROWS
    )
    print(f"SQLAlchemy {sa.__version__}, pandas {pd.__version__}")
    for what, is_so in checks.items():
        print(f"{'same' if is_so else 'DIFFERS':9}{what}")
    return int(not all(checks.values()))


def load(source: Path) -> Any:
    """Import their module by itself, with what it imports beside stood in for."""
    for name in ("aisynphys", "aisynphys.database", "neuroanalysis", "neuroanalysis.util"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["aisynphys"].config = types.SimpleNamespace()  # type: ignore[attr-defined]
    optional = types.ModuleType("neuroanalysis.util.optional_import")
    optional.optional_import = __import__  # type: ignore[attr-defined]
    sys.modules[optional.__name__] = optional
    name = "aisynphys.database.database"
    made = types.ModuleType(name)
    made.__package__ = "aisynphys.database"
    path = source / "aisynphys" / "database" / "database.py"
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), vars(made))  # noqa: S102
    return made.Database  # type: ignore[attr-defined]


def mapped(path: str) -> Any:
    """Return a base of the older SQLAlchemy with a class for each table of the file."""
    import sqlalchemy as sa
    from sqlalchemy.orm import declarative_base

    base = declarative_base()
    engine = sa.create_engine(f"sqlite:///{path}")
    # A base knows its classes by weak references.
    base.kept = []
    for name in filter(_is_table, sa.inspect(engine).get_table_names()):
        table = sa.Table(name, base.metadata, autoload_with=engine)
        base.kept.append(type(name, (base,), {"__table__": table, "__tablename__": name}))
    engine.dispose()
    return base


def _is_table(name: str) -> bool:
    """Return whether it is none of SQLite's own, which the older SQLAlchemy lists too."""
    return not name.startswith("sqlite_")


def baked_by_them(database: Any, folder: Path) -> int:
    """Have them bake a table of 2,000 rows, and return how many come along."""
    import sqlalchemy as sa
    from sqlalchemy.orm import declarative_base

    base = declarative_base()

    class Slice(base):  # type: ignore[misc, valid-type]
        __tablename__ = "slice"
        id = sa.Column(sa.Integer, primary_key=True)

    hosts = {"ro_host": "sqlite:///", "rw_host": "sqlite:///"}
    db = database(**hosts, db_name=str(folder / "theirs.db"), ormbase=base)
    db.create_tables()
    session = db.session(readonly=False)
    session.add_all([Slice(id=number + 1) for number in range(ROWS)])
    session.commit()
    db.bake_sqlite(str(folder / "their bake.db"))
    copy = database(**hosts, db_name=str(folder / "their bake.db"), ormbase=base)
    return int(copy.query(sa.func.count(Slice.id)).scalar())


if __name__ == "__main__":
    sys.exit(main())
