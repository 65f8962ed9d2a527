"""Experiments have their messages, versions of configuration, and trials; sessions have masks.

Why: what happened in a session, trial by trial, stands beside its state and its files.
A downgrade loses: all of these; export experiments first (vrtracker export aepsych).
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def text(length):
    """Text that compares by code point on every server."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def long_text():
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade():
    op.create_table(
        "vrt_experiment",
        sa.Column("experiment_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("experiment_uid", text(64), nullable=False),
        sa.Column("uSessionID", sa.Integer()),
        sa.Column("uMouseID", sa.Integer()),
        sa.Column("participant", long_text()),
        sa.Column("experiment_name", long_text()),
        sa.Column("about", long_text()),
        sa.Column("more", long_text()),
        sa.Column("origin", long_text()),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", name="pk_vrt_experiment"),
        sa.UniqueConstraint("experiment_uid", name="uq_vrt_experiment_experiment_uid"),
        sa.ForeignKeyConstraint(
            ["uSessionID"], ["sessiondb.uSessionID"], name="fk_vrt_experiment_uSessionID"
        ),
        sa.ForeignKeyConstraint(
            ["uMouseID"], ["mousedb.uMouseID"], name="fk_vrt_experiment_uMouseID"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vrt_experiment_session", "vrt_experiment", ["uSessionID"])
    op.create_index("ix_vrt_experiment_mouse", "vrt_experiment", ["uMouseID"])
    op.create_table(
        "vrt_message",
        sa.Column("message_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("category", text(15), nullable=False),
        sa.Column("verb", long_text()),
        sa.Column("sent", text(26)),
        sa.Column("form", text(15), nullable=False),
        sa.Column("body", long_text(), nullable=False),
        sa.Column("extra", long_text()),
        sa.Column("sha256", text(64), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_vrt_message"),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["vrt_experiment.experiment_id"],
            name="fk_vrt_message_experiment_id",
        ),
    )
    op.create_index("ix_vrt_message_experiment", "vrt_message", ["experiment_id"])
    op.create_table(
        "vrt_trial",
        sa.Column("trial_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("ended", text(26)),
        sa.Column("model_data", sa.Boolean(), nullable=False),
        sa.Column("parameters", long_text(), nullable=False),
        sa.Column("outcomes", long_text(), nullable=False),
        sa.Column("extra", long_text()),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", name="pk_vrt_trial"),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["vrt_experiment.experiment_id"], name="fk_vrt_trial_experiment_id"
        ),
    )
    op.create_index("ix_vrt_trial_experiment", "vrt_trial", ["experiment_id"])
    op.create_table(
        "vrt_mask",
        sa.Column("mask_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uSessionID", sa.Integer(), nullable=False),
        sa.Column("mask_name", text(255), nullable=False),
        sa.Column("function_name", text(255), nullable=False),
        sa.Column("options", long_text(), nullable=False),
        sa.Column("code_hash", text(64), nullable=False),
        sa.Column("data_hash", text(64), nullable=False),
        sa.Column("content", long_text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("mask_id", name="pk_vrt_mask"),
        sa.UniqueConstraint("uSessionID", "mask_name", name="uq_vrt_mask_session_name"),
        sa.ForeignKeyConstraint(
            ["uSessionID"], ["sessiondb.uSessionID"], name="fk_vrt_mask_uSessionID"
        ),
    )


def downgrade():
    for name in ("vrt_mask", "vrt_trial", "vrt_message", "vrt_experiment"):
        op.drop_table(name)
