"""The lab's two tables, and the tracker's own beside them.

Why: the start. `sessiondb` and `mousedb` have the lab's names, columns and order, with what its
Access file lacked: a unique key, a foreign key by mouse name, indexes for the work queues.
A downgrade loses: everything.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def text(length):
    """Text that compares by code point on every server."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def long_text():
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade():
    create_mice()
    create_sessions()
    create_stage_states()
    create_attempts()
    create_events()
    create_qc_decisions()
    create_datasets()


def downgrade():
    for table in (
        "vrt_dataset",
        "vrt_qc_decision",
        "vrt_event",
        "vrt_attempt",
        "vrt_stage_state",
        "sessiondb",
        "mousedb",
    ):
        op.drop_table(table)


def create_mice():
    op.create_table(
        "mousedb",
        sa.Column("uMouseID", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("mouseName", text(255), nullable=False),
        sa.Column("tracked", sa.Boolean(), nullable=False),
        sa.Column("trackerExists", sa.Boolean(), nullable=False),
        sa.Column("KO", sa.Boolean(), nullable=False),
        sa.Column("Blinded", sa.Boolean(), nullable=False),
        sa.Column("environmentOrder", text(255)),
        sa.Column("experimentID", sa.Integer()),
        sa.PrimaryKeyConstraint("uMouseID", name="pk_mousedb"),
        sa.UniqueConstraint("mouseName", name="uq_mousedb_mouseName"),
        # The number of a deleted row is never given again, as in Access and PostgreSQL.
        sqlite_autoincrement=True,
    )


def create_sessions():
    op.create_table(
        "sessiondb",
        sa.Column("uSessionID", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("mouseName", text(255), nullable=False),
        sa.Column("sessionDate", sa.DateTime(), nullable=False),
        sa.Column("sessionID", sa.Integer(), nullable=False),
        sa.Column("experimentType", text(255)),
        sa.Column("experimentID", sa.Integer()),
        sa.Column("variableGain", sa.Boolean(), nullable=False),
        sa.Column("behavior", sa.Boolean(), nullable=False),
        sa.Column("imaging", sa.Boolean(), nullable=False),
        sa.Column("faceCamera", sa.Boolean(), nullable=False),
        sa.Column("vrEnvironments", sa.Integer()),
        sa.Column("headPlateRotation", sa.Double()),
        sa.Column("numPlanes", sa.Integer()),
        sa.Column("planeSeparation", sa.Double()),
        sa.Column("pockelsPercentage", sa.Double()),
        sa.Column("objectiveRotation", sa.Double()),
        sa.Column("vrRegistration", sa.Boolean(), nullable=False),
        sa.Column("suite2p", sa.Boolean(), nullable=False),
        sa.Column("suite2pQC", sa.Boolean(), nullable=False),
        sa.Column("redCellQC", sa.Boolean(), nullable=False),
        sa.Column("sessionQC", sa.Boolean(), nullable=False),
        sa.Column("scratchJustification", text(255)),
        sa.Column("logtime", sa.DateTime()),
        sa.Column("sessionNotes", long_text()),
        sa.Column("suite2pDate", sa.DateTime()),
        sa.Column("vrRegistrationDate", sa.DateTime()),
        sa.Column("vrRegistrationError", sa.Boolean(), nullable=False),
        sa.Column("vrRegistrationException", long_text()),
        sa.Column("redCellQCDate", sa.DateTime()),
        sa.Column("vrBehaviorVersion", sa.Integer()),
        sa.Column("dontTrack", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("uSessionID", name="pk_sessiondb"),
        sa.UniqueConstraint("mouseName", "sessionDate", "sessionID", name="uq_sessiondb_key"),
        sa.ForeignKeyConstraint(
            ["mouseName"], ["mousedb.mouseName"], name="fk_sessiondb_mouseName"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_sessiondb_registration", "sessiondb", ["vrRegistration", "sessionQC"], unique=False
    )
    op.create_index(
        "ix_sessiondb_suite2p", "sessiondb", ["imaging", "suite2p", "sessionQC"], unique=False
    )
    op.create_index(
        "ix_sessiondb_red_cell",
        "sessiondb",
        ["vrRegistration", "redCellQC", "sessionQC"],
        unique=False,
    )


def create_stage_states():
    op.create_table(
        "vrt_stage_state",
        sa.Column("uSessionID", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stage", text(31), nullable=False),
        sa.Column("mark", text(16)),
        sa.Column("attempt_id", text(32)),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uSessionID", "stage", name="pk_vrt_stage_state"),
        sa.ForeignKeyConstraint(
            ["uSessionID"], ["sessiondb.uSessionID"], name="fk_vrt_stage_state_uSessionID"
        ),
    )


def create_attempts():
    op.create_table(
        "vrt_attempt",
        sa.Column("attempt_id", text(32), nullable=False),
        sa.Column("uSessionID", sa.Integer(), nullable=False),
        sa.Column("stage", text(31), nullable=False),
        sa.Column("outcome", text(16), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(), nullable=False),
        sa.Column("lease_until", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime()),
        sa.Column("duration_s", sa.Double()),
        sa.Column("output_bytes", sa.Double()),
        sa.Column("output_files", sa.Integer()),
        sa.Column("actor", text(255), nullable=False),
        sa.Column("host_name", text(255), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=False),
        sa.Column("registrar", text(255), nullable=False),
        sa.Column("options", long_text(), nullable=False),
        sa.Column("versions", long_text(), nullable=False),
        sa.Column("error_type", text(255)),
        sa.Column("error_message", long_text()),
        sa.Column("error_traceback", long_text()),
        sa.PrimaryKeyConstraint("attempt_id", name="pk_vrt_attempt"),
        sa.ForeignKeyConstraint(
            ["uSessionID"], ["sessiondb.uSessionID"], name="fk_vrt_attempt_uSessionID"
        ),
    )
    op.create_index("ix_vrt_attempt_session", "vrt_attempt", ["uSessionID", "stage"], unique=False)
    op.create_index("ix_vrt_attempt_outcome", "vrt_attempt", ["outcome"], unique=False)


def create_events():
    op.create_table(
        "vrt_event",
        sa.Column("event_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("actor", text(255), nullable=False),
        sa.Column("host_name", text(255), nullable=False),
        sa.Column("subject_kind", text(16), nullable=False),
        sa.Column("subject_key", text(255), nullable=False),
        sa.Column("verb", text(31), nullable=False),
        sa.Column("stage", text(31)),
        sa.Column("from_state", text(16)),
        sa.Column("to_state", text(16)),
        sa.Column("changes", long_text()),
        sa.Column("reason", long_text()),
        sa.Column("attempt_id", text(32)),
        sa.PrimaryKeyConstraint("event_id", name="pk_vrt_event"),
    )
    op.create_index(
        "ix_vrt_event_subject", "vrt_event", ["subject_key", "subject_kind"], unique=False
    )


def create_qc_decisions():
    op.create_table(
        "vrt_qc_decision",
        sa.Column("decision_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uSessionID", sa.Integer(), nullable=False),
        sa.Column("check_name", text(31), nullable=False),
        sa.Column("qc_level", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.DateTime(), nullable=False),
        sa.Column("actor", text(255), nullable=False),
        sa.Column("criteria", text(255)),
        sa.Column("evidence", long_text()),
        sa.Column("reason", long_text()),
        sa.PrimaryKeyConstraint("decision_id", name="pk_vrt_qc_decision"),
        sa.ForeignKeyConstraint(
            ["uSessionID"], ["sessiondb.uSessionID"], name="fk_vrt_qc_decision_uSessionID"
        ),
    )
    op.create_index(
        "ix_vrt_qc_decision_session", "vrt_qc_decision", ["uSessionID", "check_name"], unique=False
    )


def create_datasets():
    op.create_table(
        "vrt_dataset",
        sa.Column("dataset_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uSessionID", sa.Integer(), nullable=False),
        sa.Column("rel_path", text(255), nullable=False),
        sa.Column("stage", text(31), nullable=False),
        sa.Column("attempt_id", text(32)),
        sa.Column("revision", text(64)),
        sa.Column("size_bytes", sa.Double(), nullable=False),
        sa.Column("md5", text(32)),
        sa.Column("qc_level", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", name="pk_vrt_dataset"),
        sa.UniqueConstraint("uSessionID", "rel_path", name="uq_vrt_dataset_session_path"),
        sa.ForeignKeyConstraint(
            ["uSessionID"], ["sessiondb.uSessionID"], name="fk_vrt_dataset_uSessionID"
        ),
    )
