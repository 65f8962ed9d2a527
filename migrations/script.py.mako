"""${message}

Why: …
A downgrade loses: …

Rules: one purpose a revision; no import of vrtracker (a migration is frozen); plain
sa.DateTime(), never our types; no server default, no CHECK, names of at most 64 characters,
none of them a reserved word of Access. Add the revision to vrtracker.database.versions.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
