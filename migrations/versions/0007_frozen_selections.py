"""Selections of sessions are frozen under a name.

Why: the sessions behind a figure are known for good, and whether they changed since.
A downgrade loses: the frozen selections; export those that papers name.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def text(length):
    """Text that compares by code point on every server."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def long_text():
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade():
    op.create_table(
        "vrt_selection",
        sa.Column("selection_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("selection_name", text(255), nullable=False),
        sa.Column("frozen_at", sa.DateTime(), nullable=False),
        sa.Column("actor", text(255), nullable=False),
        sa.Column("content_hash", text(64), nullable=False),
        sa.Column("content", long_text(), nullable=False),
        sa.PrimaryKeyConstraint("selection_id", name="pk_vrt_selection"),
        sa.UniqueConstraint("selection_name", name="uq_vrt_selection_selection_name"),
    )


def downgrade():
    op.drop_table("vrt_selection")
