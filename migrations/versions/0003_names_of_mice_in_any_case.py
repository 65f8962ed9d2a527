"""Two mice may not have names that differ in the case of letters alone.

Why: ATL012 and atl012 are one name to Access and one folder to Windows and macOS; elsewhere they
were two mice. Access needs no index for it: its own ignore the case of letters. The others get
one that knows of the 26 letters; the package looks at all letters.
A downgrade loses: nothing but the rule.
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = "uq_mousedb_mouseName_caseless"
MICE = sa.table("mousedb", sa.column("uMouseID"), sa.column("mouseName"))
SESSIONS = sa.table("sessiondb", sa.column("uSessionID"), sa.column("mouseName"))
WITHOUT_CASE = {
    "sqlite": sa.collate(MICE.c.mouseName, "NOCASE"),
    "postgresql": sa.func.lower(MICE.c.mouseName),
}


def upgrade():
    refuse_alike()
    dialect = op.get_context().dialect.name
    if dialect in WITHOUT_CASE:
        op.create_index(NAME, "mousedb", [WITHOUT_CASE[dialect]], unique=True)


def downgrade():
    if op.get_context().dialect.name in WITHOUT_CASE:
        op.drop_index(NAME, table_name="mousedb")


def refuse_alike():
    """Name the mice that differ in case alone, and how one makes one of two."""
    connection = op.get_bind()
    by_fold = {}
    for (name,) in connection.execute(sa.select(MICE.c.mouseName).order_by(MICE.c.uMouseID)):
        by_fold.setdefault(name.casefold(), []).append(name)
    alike = [names for names in by_fold.values() if len(names) > 1]
    if not alike:
        return
    listing = "; ".join(
        " and ".join(f"{name} ({sessions_of(connection, name)} sessions)" for name in names)
        for names in alike
    )
    kept, other = (quoted(name) for name in alike[0][:2])
    merge = (
        f'UPDATE sessiondb SET "mouseName" = {kept} WHERE "mouseName" = {other}; '  # noqa: S608
        f'DELETE FROM mousedb WHERE "mouseName" = {other};'
    )
    raise CommandError(
        f"mice differ in the case of letters alone: {listing}. Nothing was changed. Give one of "
        f"each another name; or make them one mouse, here by SQL: {merge} Then upgrade again."
    )


def quoted(name):
    doubled = name.replace("'", "''")
    return f"'{doubled}'"


def sessions_of(connection, name):
    statement = sa.select(sa.func.count()).select_from(SESSIONS)
    return connection.scalar(statement.where(SESSIONS.c.mouseName == name))
