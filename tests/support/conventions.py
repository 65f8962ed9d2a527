"""The conventions that no linter knows, each a check over one parsed file.

A `Rule` says which files it reads, where the thing is allowed, how to find it, and two or more
snippets: ones that break it and one that does not, so that a check that finds nothing at all
cannot pass for a project that is clean.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, lru_cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 400
DIALECTS = frozenset({"sqlite", "postgresql", "postgres", "access"})

Finder = Callable[[str], Iterator[int]]


@dataclass(frozen=True)
class Rule:
    """One rule: `find` yields the line numbers at which a file's text breaks it."""

    name: str
    says: str
    files: tuple[str, ...]
    find: Finder
    broken: tuple[str, ...]
    kept: tuple[str, ...]
    allowed: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        """Tell whether the rule reads a file, given by its path from the project's root."""
        read = any(fnmatch(path, pattern) for pattern in self.files)
        return read and not any(fnmatch(path, pattern) for pattern in self.allowed)

    def violations(self, path: str, text: str) -> list[str]:
        """Return ``path:line: rule`` for each place where the text breaks the rule."""
        if not self.covers(path):
            return []
        return [f"{path}:{line}: {self.says}" for line in sorted(set(self.find(text)))]


def project_files() -> list[str]:
    """Return the project's files, without what git ignores, as paths from its root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = os.fsdecode(listed.stdout).split("\0")
        return sorted(name for name in names if (PROJECT / name).is_file() and not _lent(name))
    # An unpacked source distribution: it has no history, and little that is not source.
    found = (path.relative_to(PROJECT) for path in PROJECT.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in found
        if not any(part.startswith((".", "__pycache__")) for part in path.parts)
    )


def _lent(name: str) -> bool:
    """Return whether a file belongs to a virtual environment that somebody made here."""
    top = PROJECT / name.partition("/")[0]
    return (top / "pyvenv.cfg").is_file()


def read_text(path: str) -> str | None:
    """Return a file's text, or None when it is not text."""
    try:
        return (PROJECT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


@cache
def broken_in_project() -> dict[str, list[str]]:
    """Return what breaks each rule in the project; a rule that reads no file is not there.

    Every file is read and parsed once, for all rules.
    """
    broken: dict[str, list[str]] = {}
    for path in project_files():
        rules = [rule for rule in RULES if rule.covers(path)]
        text = read_text(path) if rules else None
        if text is not None:
            for rule in rules:
                broken.setdefault(rule.name, []).extend(rule.violations(path, text))
    return broken


@lru_cache(maxsize=1)
def _nodes(text: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(text)))


def _called(text: str) -> Iterator[tuple[ast.Call, str]]:
    """Yield every call together with the last part of the called name."""
    for node in _nodes(text):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node, node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node, node.func.id


def _dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for a chain of attributes on a name, with "?" for what is no name."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def find_commit(text: str) -> Iterator[int]:
    """Find ``something.commit()``, but for ``unit.commit()``, which ends a unit of work."""
    for call, name in _called(text):
        if name != "commit" or not isinstance(call.func, ast.Attribute):
            continue
        receiver = call.func.value
        if not (isinstance(receiver, ast.Name) and receiver.id == "unit"):
            yield call.lineno


def _sqlalchemy_names(text: str, wanted: str) -> set[str]:
    """Return the names under which a file knows SQLAlchemy's function `wanted`."""
    names: set[str] = set()
    for node in _nodes(text):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "sqlalchemy":
                    names.add(f"{alias.asname or alias.name}.{wanted}")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
            for alias in node.names:
                known = alias.asname or alias.name
                names.add(known if alias.name == wanted else f"{known}.{wanted}")
    return names


def find_select(text: str) -> Iterator[int]:
    """Find calls of SQLAlchemy's select, under any name, and of the old ``session.query``."""
    selects = _sqlalchemy_names(text, "select") | {"select"}
    for call, name in _called(text):
        dotted = _dotted(call.func)
        if dotted in selects or (name == "query" and dotted.split(".")[-2:-1] == ["session"]):
            yield call.lineno


def _is_dialect(node: ast.AST) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(_is_dialect(item) for item in node.elts)
    if isinstance(node, ast.MatchValue):
        return _is_dialect(node.value)
    if isinstance(node, ast.MatchOr):
        return any(_is_dialect(pattern) for pattern in node.patterns)
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.split(r"[+:]", node.value)[0] in DIALECTS
    )


def find_dialect_name(text: str) -> Iterator[int]:
    """Find reads of ``dialect.name`` and comparisons with a dialect's name."""
    for node in _nodes(text):
        if isinstance(node, ast.Attribute):
            compared = _dotted(node).split(".")[-2:] == ["dialect", "name"]
        elif isinstance(node, ast.Compare):
            compared = any(_is_dialect(side) for side in (node.left, *node.comparators))
        elif isinstance(node, ast.match_case):
            compared = _is_dialect(node.pattern)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            compared = node.func.attr in {"startswith", "removeprefix"} and any(
                _is_dialect(argument) for argument in node.args
            )
        else:
            continue
        if compared:
            yield node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno


def find_print(text: str) -> Iterator[int]:
    """Find ``print()`` and ``console.print()``."""
    yield from (call.lineno for call, name in _called(text) if name == "print")


def find_create_all(text: str) -> Iterator[int]:
    """Find a use of ``create_all``, called or passed on."""
    for node in _nodes(text):
        if isinstance(node, ast.Attribute) and node.attr in {"create_all", "drop_all"}:
            yield node.lineno


def find_server_time(text: str) -> Iterator[int]:
    """Find ``func.now`` and its relatives, which ask the server for the time."""
    names = {"now", "current_timestamp", "current_date", "current_time", "localtimestamp"}
    for node in _nodes(text):
        if isinstance(node, ast.Attribute) and node.attr in names:
            owner = _dotted(node).split(".")[-2]
            yield from [node.lineno] if owner == "func" else []


def find_too_long(text: str) -> Iterator[int]:
    """Find the first line beyond the longest that a file may be."""
    if len(text.splitlines()) > LONGEST_FILE:
        yield LONGEST_FILE + 1


def find_package_import(text: str) -> Iterator[int]:
    """Find an import of the package itself."""
    for node in _nodes(text):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        elif isinstance(node, ast.Call) and _dotted(node.func).endswith("import_module"):
            modules = [item.value for item in node.args if isinstance(item, ast.Constant)]
        else:
            continue
        if any(str(module).split(".")[0] == "vrtracker" for module in modules):
            yield node.lineno


def find_other_datetime(text: str) -> Iterator[int]:
    """Find a column type for times other than ``sa.DateTime()``."""
    for node in _nodes(text):
        if isinstance(node, ast.Call):
            name = _dotted(node.func)
            plain = name == "sa.DateTime" and not node.args and not node.keywords
            broken = name.split(".")[-1] == "DateTime" and not plain
        else:
            broken = _dotted(node).split(".")[-1] in {"TIMESTAMP", "DATETIME", "UTCDateTime"}
        if broken:
            yield node.lineno


# Written without dots and slashes, so that this file does not break the rules itself.
_REGISTRIES = tuple(
    host.replace(" ", ".")
    for host in (
        "pypi org",
        "pythonhosted org",
        "npmjs org",
        "npmjs com",
        "crates io",
        "golang org",
        "maven org",
        "maven apache org",
        "deb debian org",
        "anaconda org",
    )
)
_HOMES = ("work", "root", "home", "Users")
_REGISTRY = re.compile("|".join(re.escape(host) for host in _REGISTRIES), re.IGNORECASE)
_MACHINE = re.compile(rf"(?<![\w.}}*\]])/(?:{'|'.join(_HOMES)})/")


def _matching_lines(pattern: re.Pattern[str], text: str) -> Iterator[int]:
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.search(line):
            yield number


def find_registry(text: str) -> Iterator[int]:
    """Find the address of a package registry."""
    yield from _matching_lines(_REGISTRY, text)


def find_machine_path(text: str) -> Iterator[int]:
    """Find an absolute path that exists on one machine alone."""
    yield from _matching_lines(_MACHINE, text)


SRC = ("src/*.py",)
REVISIONS = ("migrations/versions/*.py",)

RULES = (
    Rule(
        name="commit",
        says="only the unit of work commits a connection (a migration's is alembic's)",
        files=(*SRC, "migrations/*.py"),
        allowed=(
            "src/vrtracker/backends/access/*",
            "src/vrtracker/unit_of_work.py",
            "src/vrtracker/database/migration.py",
            "migrations/env.py",
        ),
        find=find_commit,
        broken=("session.commit()", "self._uow.session.commit()", "connect().commit()"),
        kept=("commit = 1", "# session.commit()", "'x.commit()'", "unit.commit()"),
    ),
    Rule(
        name="select",
        says="only repositories build a select",
        files=SRC,
        allowed=("src/vrtracker/repositories/*",),
        find=find_select,
        broken=(
            "from sqlalchemy import select\nselect(a)",
            "from sqlalchemy import select as choose\nchoose(a)",
            "import sqlalchemy as sa\nsa.select(a)",
            "import sqlalchemy\nsqlalchemy.select(a)",
            "from sqlalchemy import sql\nsql.select(a)",
            "self.session.query(Mouse)",
        ),
        kept=("table.select(['a'])", "selector(a)", "from sqlalchemy import update\nupdate(a)"),
    ),
    Rule(
        name="dialect",
        says="only backends and the portable types know a dialect by its name",
        files=SRC,
        allowed=("src/vrtracker/backends/*", "src/vrtracker/models/types.py"),
        find=find_dialect_name,
        broken=(
            "if engine.dialect.name in names: pass",
            "if backend.name == 'sqlite': pass",
            "if 'postgresql' != name: pass",
            "if name in ('access', 'mssql'): pass",
            "if url.startswith('sqlite:'): pass",
            "match name:\n    case 'sqlite' | 'other': pass",
        ),
        kept=("if backend.supports_for_update: pass", "name = 'sqlite'", "if x == 'sqlit': pass"),
    ),
    Rule(
        name="print",
        says="only the shell prints",
        files=(*SRC, "migrations/*.py"),
        # What the old module of vrAnalysis printed is part of what its stand-in promises.
        allowed=("src/vrtracker/cli/*", "src/vrtracker/interop/vranalysis/printing.py"),
        find=find_print,
        broken=("print('x')", "console.print(table)"),
        kept=("fingerprint('x')", "printer = print"),
    ),
    Rule(
        name="create_all",
        says="alembic alone makes the schema",
        files=(*SRC, "migrations/*.py", "benchmarks/*.py"),
        find=find_create_all,
        broken=("Base.metadata.create_all(engine)", "connection.run(metadata.create_all)"),
        kept=("'create_all'", "op.create_table('x')"),
    ),
    Rule(
        name="server_time",
        says="the time comes from the clock, never from the server",
        files=(*SRC, "migrations/*.py"),
        find=find_server_time,
        broken=("func.now()", "sa.func.now()", "sa.func.current_timestamp()", "default=func.now"),
        kept=("clock.now()", "func.count()"),
    ),
    Rule(
        name="length",
        says=f"a file of src has at most {LONGEST_FILE} lines; does one subject hide two?",
        files=SRC,
        find=find_too_long,
        broken=("x = 1\n" * (LONGEST_FILE + 1),),
        kept=("x = 1\n" * LONGEST_FILE,),
    ),
    Rule(
        name="frozen_revisions",
        says="a revision imports nothing of the package, which changes after it",
        files=("migrations/*.py",),
        allowed=("migrations/env.py",),
        find=find_package_import,
        broken=(
            "import vrtracker",
            "from vrtracker.models import base",
            "def upgrade():\n    from vrtracker import clock",
            "importlib.import_module('vrtracker.models')",
        ),
        kept=("import sqlalchemy as sa", "'vrtracker'"),
    ),
    Rule(
        name="revision_times",
        says="a revision's times are sa.DateTime()",
        files=REVISIONS,
        find=find_other_datetime,
        broken=(
            "sa.DateTime(timezone=True)",
            "sa.TIMESTAMP()",
            "types.UTCDateTime()",
            "postgresql.TIMESTAMP",
            "DateTime()",
        ),
        kept=("sa.DateTime()", "sa.Date()"),
    ),
    Rule(
        name="registry",
        says="no file names a package registry's address",
        files=("*",),
        find=find_registry,
        broken=(*(f"see https://{host}/simple" for host in _REGISTRIES),),
        kept=("pip install vrtracker", "https://github.com/vrtracker/vrtracker"),
    ),
    Rule(
        name="machine_path",
        says="no file names a path of one machine",
        files=("*",),
        find=find_machine_path,
        broken=tuple(f"path = '/{home}/" + "lab.db'" for home in _HOMES),
        kept=("framework/", "src/work/x", "/data/lab/Subjects", "~/lab", "https://a.org/home/x"),
    ),
)


def rule_ids(rules: tuple[Rule, ...] = RULES) -> list[str]:
    """Return the names of the rules, for the ids of parameters."""
    return [rule.name for rule in rules]
