"""Rigs by version, the version that each session used, and cells tracked over sessions.

Why: what a session was recorded with, and which cells are the same on which days, is known.
A downgrade loses: the rigs, which sessions used them, and the runs of tracking; the files of the
last stay on disk and are found again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def text(length):
    """Text that compares by code point on every server."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def long_text():
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade():
    op.create_table(
        "vrt_rig",
        sa.Column("rig_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("rig_name", text(255), nullable=False),
        sa.Column("rig_version", sa.Integer(), nullable=False),
        sa.Column("content_hash", text(64), nullable=False),
        sa.Column("content", long_text(), nullable=False),
        sa.Column("added_at", sa.DateTime(), nullable=False),
        sa.Column("actor", text(255), nullable=False),
        sa.PrimaryKeyConstraint("rig_id", name="pk_vrt_rig"),
        sa.UniqueConstraint("rig_name", "rig_version", name="uq_vrt_rig_version"),
    )
    op.create_table(
        "vrt_rig_feature",
        sa.Column("rig_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feature_name", text(255), nullable=False),
        sa.Column("source_type", text(31), nullable=False),
        sa.Column("data_type", text(31), nullable=False),
        sa.Column("ownership", text(31), nullable=False),
        sa.Column("description", long_text(), nullable=False),
        sa.ForeignKeyConstraint(["rig_id"], ["vrt_rig.rig_id"], name="fk_vrt_rig_feature_rig_id"),
        sa.PrimaryKeyConstraint("rig_id", "place", name="pk_vrt_rig_feature"),
    )
    op.create_table(
        "vrt_session_rig",
        sa.Column("uSessionID", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rig_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["uSessionID"], ["sessiondb.uSessionID"], name="fk_vrt_session_rig_uSessionID"
        ),
        sa.ForeignKeyConstraint(["rig_id"], ["vrt_rig.rig_id"], name="fk_vrt_session_rig_rig_id"),
        sa.PrimaryKeyConstraint("uSessionID", name="pk_vrt_session_rig"),
    )
    op.create_index("ix_vrt_session_rig_rig_id", "vrt_session_rig", ["rig_id"])
    op.create_table(
        "vrt_tracking",
        sa.Column("tracking_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_hash", text(64), nullable=False),
        sa.Column("uSessionID", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("plane", sa.Integer(), nullable=True),
        sa.Column("folder", long_text(), nullable=False),
        sa.Column("files", long_text(), nullable=False),
        sa.Column("made_by", text(63), nullable=True),
        sa.Column("settings", long_text(), nullable=True),
        sa.Column("labelled_at", sa.DateTime(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["uSessionID"], ["sessiondb.uSessionID"], name="fk_vrt_tracking_uSessionID"
        ),
        sa.PrimaryKeyConstraint("tracking_id", name="pk_vrt_tracking"),
        sa.UniqueConstraint("run_hash", "uSessionID", name="uq_vrt_tracking_run_session"),
    )
    op.create_index("ix_vrt_tracking_session", "vrt_tracking", ["uSessionID"])


def downgrade():
    op.drop_index("ix_vrt_tracking_session", "vrt_tracking")
    op.drop_table("vrt_tracking")
    op.drop_index("ix_vrt_session_rig_rig_id", "vrt_session_rig")
    op.drop_table("vrt_session_rig")
    op.drop_table("vrt_rig_feature")
    op.drop_table("vrt_rig")
