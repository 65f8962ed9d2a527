"""Events keep a digest of their row as it was after them.

Why: whether a row was edited past the tracker is told by its latest event, and no longer by all
that it ever had. An event without a digest, as all earlier ones are, says nothing: then they are
replayed.
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


def upgrade():
    op.add_column("vrt_event", sa.Column("row_digest", text(24), nullable=True))


def downgrade():
    op.drop_column("vrt_event", "row_digest")
