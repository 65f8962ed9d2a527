"""Events keep a digest of their row as it was after them; queues are indexed in their order.

Why: whether a row was edited past the tracker is told by its latest event, and no longer by all
that it ever had. An event without a digest, as all earlier ones are, says nothing: then they are
replayed. The next session of a queue is the one with the lowest number: PostgreSQL sorted the whole
queue to find it.
A downgrade loses: the digests, which is only speed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def text(length):
    """Text that compares by code point on every server."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


QUEUES = {
    "registration": ["vrRegistration", "sessionQC"],
    "suite2p": ["imaging", "suite2p", "sessionQC"],
}


def upgrade():
    op.add_column("vrt_event", sa.Column("row_digest", text(24), nullable=True))
    for stage, columns in QUEUES.items():
        op.drop_index(f"ix_sessiondb_{stage}", table_name="sessiondb")
        op.create_index(f"ix_sessiondb_next_{stage}", "sessiondb", [*columns, "uSessionID"])


def downgrade():
    for stage, columns in QUEUES.items():
        op.drop_index(f"ix_sessiondb_next_{stage}", table_name="sessiondb")
        op.create_index(f"ix_sessiondb_{stage}", "sessiondb", columns)
    op.drop_column("vrt_event", "row_digest")
