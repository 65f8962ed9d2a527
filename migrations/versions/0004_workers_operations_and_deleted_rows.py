"""Claims name their process, failures their next try, events their operation; deleted rows stay.

Why: a claim of a process that is gone is free at once, which its number alone cannot tell; a stage
that fails again and again waits, or is set aside; one call is undone as a whole; what was deleted
can come back. The next session of a queue is found through an index that ends in its number.
A downgrade loses: the five columns, and what was deleted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

QUEUES = {
    "ix_sessiondb_registration": ["vrRegistration", "sessionQC"],
    "ix_sessiondb_suite2p": ["imaging", "suite2p", "sessionQC"],
}


def text(length):
    """Text that compares by code point on every server."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def long_text():
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade():
    op.add_column("vrt_attempt", sa.Column("process_started_at", sa.DateTime(), nullable=True))
    op.add_column("vrt_stage_state", sa.Column("failures", sa.Integer(), nullable=True))
    op.add_column("vrt_stage_state", sa.Column("retry_after", sa.DateTime(), nullable=True))
    op.add_column("vrt_stage_state", sa.Column("set_aside", text(255), nullable=True))
    op.add_column("vrt_event", sa.Column("operation_id", text(32), nullable=True))
    op.create_index("ix_vrt_event_operation", "vrt_event", ["operation_id"], unique=False)
    create_deleted()
    for name, columns in QUEUES.items():
        op.drop_index(name, table_name="sessiondb")
        op.create_index(name, "sessiondb", [*columns, "uSessionID"], unique=False)


def downgrade():
    for name, columns in QUEUES.items():
        op.drop_index(name, table_name="sessiondb")
        op.create_index(name, "sessiondb", columns, unique=False)
    op.drop_table("vrt_deleted")
    op.drop_index("ix_vrt_event_operation", table_name="vrt_event")
    op.drop_column("vrt_event", "operation_id")
    for name in ("set_aside", "retry_after", "failures"):
        op.drop_column("vrt_stage_state", name)
    op.drop_column("vrt_attempt", "process_started_at")


def create_deleted():
    op.create_table(
        "vrt_deleted",
        sa.Column("deletion_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("subject_kind", text(16), nullable=False),
        sa.Column("subject_key", text(255), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("content", long_text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(), nullable=False),
        sa.Column("actor", text(255), nullable=False),
        sa.Column("operation_id", text(32)),
        sa.Column("reason", long_text()),
        sa.PrimaryKeyConstraint("deletion_id", name="pk_vrt_deleted"),
    )
    op.create_index(
        "ix_vrt_deleted_subject", "vrt_deleted", ["subject_key", "subject_kind"], unique=False
    )
