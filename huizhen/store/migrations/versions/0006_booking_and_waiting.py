"""Booking and waiting: opened hours, the waiting line, messages to patients, triage, absences."""

import sqlalchemy as sa
from alembic import op

from huizhen.store.dialects import install_row_guards

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "absences",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_absences")),
        sa.UniqueConstraint("id", name=op.f("uq_absences_id")),
    )
    op.create_index("ix_absences_consult_id", "absences", ["consult_id"], unique=False)
    op.create_table(
        "doctor_books",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_doctor_books")),
        sa.UniqueConstraint("id", name=op.f("uq_doctor_books_id")),
    )
    op.create_table(
        "notices",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("seat_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("address_hint", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("queued_at", sa.Text(), nullable=False),
        sa.Column("queued_by", sa.Text(), nullable=False),
        sa.Column("next_try_at", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.Text(), nullable=True),
        sa.Column("last_code", sa.Text(), nullable=True),
        sa.Column("revealed_at", sa.Text(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_notices")),
        sa.UniqueConstraint("id", name=op.f("uq_notices_id")),
    )
    op.create_index("ix_notices_consult_id", "notices", ["consult_id"], unique=False)
    op.create_index("ix_notices_held", "notices", ["held"], unique=False)
    op.create_index("ix_notices_institution_id_state", "notices", ["institution_id", "state"], unique=False)
    op.create_index("ix_notices_state", "notices", ["state"], unique=False)
    op.create_table(
        "slot_places",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("slot_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("doctor_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_slot_places")),
        sa.UniqueConstraint("id", name=op.f("uq_slot_places_id")),
    )
    op.create_index("ix_slot_places_consult_id", "slot_places", ["consult_id"], unique=False)
    op.create_index("ix_slot_places_slot_id", "slot_places", ["slot_id"], unique=False)
    op.create_table(
        "slots",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("doctor_id", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.Text(), nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_slots")),
        sa.UniqueConstraint("id", name=op.f("uq_slots_id")),
    )
    op.create_index("ix_slots_doctor_id_day", "slots", ["doctor_id", "day"], unique=False)
    op.create_index("ix_slots_institution_id_day", "slots", ["institution_id", "day"], unique=False)
    op.create_table(
        "triage_notes",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("nurse_id", sa.Text(), nullable=False),
        sa.Column("complaint", sa.Text(), nullable=False),
        sa.Column("vitals", sa.Text(), nullable=False),
        sa.Column("red_flags", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("handover", sa.Text(), nullable=False),
        sa.Column("urgent_reason", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_triage_notes")),
        sa.UniqueConstraint("id", name=op.f("uq_triage_notes_id")),
    )
    op.create_index("ix_triage_notes_consult_id", "triage_notes", ["consult_id"], unique=False)
    op.create_table(
        "waiting_messages",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("by_id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("said_at", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_waiting_messages")),
        sa.UniqueConstraint("id", name=op.f("uq_waiting_messages_id")),
    )
    op.create_index("ix_waiting_messages_consult_id", "waiting_messages", ["consult_id"], unique=False)
    op.create_table(
        "waiting_places",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("doctor_id", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Text(), nullable=False),
        sa.Column("arrived_at", sa.Text(), nullable=False),
        sa.Column("present", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.Text(), nullable=True),
        sa.Column("urgent_at", sa.Text(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_waiting_places")),
        sa.UniqueConstraint("id", name=op.f("uq_waiting_places_id")),
    )
    op.create_index("ix_waiting_places_consult_id", "waiting_places", ["consult_id"], unique=False)
    op.create_index("ix_waiting_places_doctor_id_open", "waiting_places", ["doctor_id", "open"], unique=False)
    install_row_guards(op.get_bind(), ("waiting_messages", "triage_notes", "absences"))


def downgrade() -> None:
    op.drop_index("ix_waiting_places_doctor_id_open", table_name="waiting_places")
    op.drop_index("ix_waiting_places_consult_id", table_name="waiting_places")
    op.drop_table("waiting_places")
    op.drop_index("ix_waiting_messages_consult_id", table_name="waiting_messages")
    op.drop_table("waiting_messages")
    op.drop_index("ix_triage_notes_consult_id", table_name="triage_notes")
    op.drop_table("triage_notes")
    op.drop_index("ix_slots_institution_id_day", table_name="slots")
    op.drop_index("ix_slots_doctor_id_day", table_name="slots")
    op.drop_table("slots")
    op.drop_index("ix_slot_places_slot_id", table_name="slot_places")
    op.drop_index("ix_slot_places_consult_id", table_name="slot_places")
    op.drop_table("slot_places")
    op.drop_index("ix_notices_state", table_name="notices")
    op.drop_index("ix_notices_institution_id_state", table_name="notices")
    op.drop_index("ix_notices_held", table_name="notices")
    op.drop_index("ix_notices_consult_id", table_name="notices")
    op.drop_table("notices")
    op.drop_table("doctor_books")
    op.drop_index("ix_absences_consult_id", table_name="absences")
    op.drop_table("absences")
