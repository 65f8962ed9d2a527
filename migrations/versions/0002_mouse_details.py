"""Mice gain sex, date of birth, genotype, strain and notes.

Why: the lab's table knows a mouse by name alone; exchange formats (ONE, NWB) ask for these.
A downgrade loses: what was entered in the five columns.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = ("sex", "dateOfBirth", "genotype", "strain", "notes")


def text(length):
    """Text that compares by code point on every server."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade():
    op.add_column("mousedb", sa.Column("sex", text(1), nullable=True))
    op.add_column("mousedb", sa.Column("dateOfBirth", sa.DateTime(), nullable=True))
    op.add_column("mousedb", sa.Column("genotype", text(255), nullable=True))
    op.add_column("mousedb", sa.Column("strain", text(255), nullable=True))
    op.add_column(
        "mousedb",
        sa.Column(
            "notes",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
    )


def downgrade():
    for name in reversed(COLUMNS):
        op.drop_column("mousedb", name)
