"""Datasets keep a second hash, their file's time and whether it is gone; sessions their ONE names.

Why: a look at the disk need only hash what has changed, and says what is no longer there; what came
from a cache of ONE goes out again under the same ids, lab and projects.
A downgrade loses: all of these, which a scan and an import bring back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def text(length):
    """Text that compares by code point on every server."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def long_text():
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade():
    op.add_column("vrt_dataset", sa.Column("sha256", text(64), nullable=True))
    op.add_column("vrt_dataset", sa.Column("modified", sa.Double(), nullable=True))
    op.add_column("vrt_dataset", sa.Column("missing_since", sa.DateTime(), nullable=True))
    op.add_column("vrt_dataset", sa.Column("one_id", text(36), nullable=True))
    op.create_table(
        "vrt_one_session",
        sa.Column("uSessionID", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("one_id", text(36)),
        sa.Column("lab", text(255)),
        sa.Column("projects", long_text()),
        sa.PrimaryKeyConstraint("uSessionID", name="pk_vrt_one_session"),
        sa.ForeignKeyConstraint(
            ["uSessionID"], ["sessiondb.uSessionID"], name="fk_vrt_one_session_uSessionID"
        ),
    )


def downgrade():
    op.drop_table("vrt_one_session")
    for name in ("one_id", "missing_since", "modified", "sha256"):
        op.drop_column("vrt_dataset", name)
