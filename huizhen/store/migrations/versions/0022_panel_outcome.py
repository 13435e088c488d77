"""The outcome of an expert consult: report, countersignatures, late opinions, referrals, tasks, paper, copies."""

import sqlalchemy as sa
from alembic import op

from huizhen.store.dialects import install_row_guards

revision = "0022"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "countersignatures",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("opinion_id", sa.Text(), nullable=False),
        sa.Column("senior_id", sa.Text(), nullable=False),
        sa.Column("agrees", sa.BigInteger(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_countersignatures")),
        sa.UniqueConstraint("id", name=op.f("uq_countersignatures_id")),
    )
    op.create_index("ix_countersignatures_consult_id", "countersignatures", ["consult_id"], unique=False)
    op.create_index("ix_countersignatures_opinion_id", "countersignatures", ["opinion_id"], unique=False)
    op.create_table(
        "follow_up_tasks",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.Text(), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("done_at", sa.Text(), nullable=True),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_follow_up_tasks")),
        sa.UniqueConstraint("id", name=op.f("uq_follow_up_tasks_id")),
    )
    op.create_index("ix_follow_up_tasks_consult_id", "follow_up_tasks", ["consult_id"], unique=False)
    op.create_index(
        "ix_follow_up_tasks_institution_id_state", "follow_up_tasks", ["institution_id", "state"], unique=False
    )
    op.create_table(
        "joint_reports",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("chair_id", sa.Text(), nullable=False),
        sa.Column("conclusion", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.Column("opinions", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("signed_at", sa.Text(), nullable=True),
        sa.Column("signature", sa.Text(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_joint_reports")),
        sa.UniqueConstraint("id", name=op.f("uq_joint_reports_id")),
    )
    op.create_index("ix_joint_reports_consult_id", "joint_reports", ["consult_id"], unique=False)
    op.create_table(
        "opinion_papers",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("document_sha256", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.Column("pdf_sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("blob_sha256", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_opinion_papers")),
        sa.UniqueConstraint("id", name=op.f("uq_opinion_papers_id")),
    )
    op.create_index("ix_opinion_papers_code", "opinion_papers", ["code"], unique=False)
    op.create_index("ix_opinion_papers_consult_id", "opinion_papers", ["consult_id"], unique=False)
    op.create_table(
        "opinions_due",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("expert_id", sa.Text(), nullable=False),
        sa.Column("expert_institution_id", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Text(), nullable=False),
        sa.Column("reminders", sa.BigInteger(), nullable=False),
        sa.Column("reminded_at", sa.Text(), nullable=True),
        sa.Column("stand_in_id", sa.Text(), nullable=True),
        sa.Column("named_by", sa.Text(), nullable=True),
        sa.Column("named_at", sa.Text(), nullable=True),
        sa.Column("handed_at", sa.Text(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_opinions_due")),
        sa.UniqueConstraint("id", name=op.f("uq_opinions_due_id")),
    )
    op.create_index("ix_opinions_due_consult_id", "opinions_due", ["consult_id"], unique=False)
    op.create_index("ix_opinions_due_expert_id", "opinions_due", ["expert_id"], unique=False)
    op.create_table(
        "paper_attestations",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_paper_attestations")),
        sa.UniqueConstraint("id", name=op.f("uq_paper_attestations_id")),
    )
    op.create_index("ix_paper_attestations_consult_id", "paper_attestations", ["consult_id"], unique=False)
    op.create_index("ix_paper_attestations_record_id", "paper_attestations", ["record_id"], unique=False)
    op.create_table(
        "referrals",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("from_institution_id", sa.Text(), nullable=False),
        sa.Column("to_institution_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("issued_by", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.Text(), nullable=False),
        sa.Column("answers", sa.Text(), nullable=True),
        sa.Column("moved_by", sa.Text(), nullable=True),
        sa.Column("moved_at", sa.Text(), nullable=True),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_referrals")),
        sa.UniqueConstraint("id", name=op.f("uq_referrals_id")),
    )
    op.create_index("ix_referrals_consult_id", "referrals", ["consult_id"], unique=False)
    op.create_index("ix_referrals_to_institution_id", "referrals", ["to_institution_id"], unique=False)
    op.create_table(
        "report_marks",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("expert_id", sa.Text(), nullable=False),
        sa.Column("agrees", sa.BigInteger(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_report_marks")),
        sa.UniqueConstraint("id", name=op.f("uq_report_marks_id")),
    )
    op.create_index("ix_report_marks_consult_id", "report_marks", ["consult_id"], unique=False)
    op.create_table(
        "sealed_copies",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("inviting_institution_id", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ordered_at", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("blob_sha256", sa.Text(), nullable=False),
        sa.Column("package_sha256", sa.Text(), nullable=False),
        sa.Column("manifest_sha256", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sealed_at", sa.Text(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_sealed_copies")),
        sa.UniqueConstraint("id", name=op.f("uq_sealed_copies_id")),
    )
    op.create_index("ix_sealed_copies_consult_id", "sealed_copies", ["consult_id"], unique=False)
    op.create_index("ix_sealed_copies_institution_id_state", "sealed_copies", ["institution_id", "state"], unique=False)
    op.create_index("ix_sealed_copies_state", "sealed_copies", ["state"], unique=False)
    op.add_column("decision_notes", sa.Column("author", sa.Text(), nullable=True))
    op.add_column("opinions", sa.Column("author", sa.Text(), nullable=True))
    op.add_column("opinions", sa.Column("countersign", sa.BigInteger(), nullable=True))
    op.add_column("staff", sa.Column("requires_countersign", sa.BigInteger(), nullable=True))

    install_row_guards(
        op.get_bind(), rows=("report_marks", "countersignatures", "opinion_papers", "paper_attestations")
    )


def downgrade() -> None:

    op.drop_column("staff", "requires_countersign")
    op.drop_column("opinions", "countersign")
    op.drop_column("opinions", "author")
    op.drop_column("decision_notes", "author")
    op.drop_index("ix_sealed_copies_state", table_name="sealed_copies")
    op.drop_index("ix_sealed_copies_institution_id_state", table_name="sealed_copies")
    op.drop_index("ix_sealed_copies_consult_id", table_name="sealed_copies")
    op.drop_table("sealed_copies")
    op.drop_index("ix_report_marks_consult_id", table_name="report_marks")
    op.drop_table("report_marks")
    op.drop_index("ix_referrals_to_institution_id", table_name="referrals")
    op.drop_index("ix_referrals_consult_id", table_name="referrals")
    op.drop_table("referrals")
    op.drop_index("ix_paper_attestations_record_id", table_name="paper_attestations")
    op.drop_index("ix_paper_attestations_consult_id", table_name="paper_attestations")
    op.drop_table("paper_attestations")
    op.drop_index("ix_opinions_due_expert_id", table_name="opinions_due")
    op.drop_index("ix_opinions_due_consult_id", table_name="opinions_due")
    op.drop_table("opinions_due")
    op.drop_index("ix_opinion_papers_consult_id", table_name="opinion_papers")
    op.drop_index("ix_opinion_papers_code", table_name="opinion_papers")
    op.drop_table("opinion_papers")
    op.drop_index("ix_joint_reports_consult_id", table_name="joint_reports")
    op.drop_table("joint_reports")
    op.drop_index("ix_follow_up_tasks_institution_id_state", table_name="follow_up_tasks")
    op.drop_index("ix_follow_up_tasks_consult_id", table_name="follow_up_tasks")
    op.drop_table("follow_up_tasks")
    op.drop_index("ix_countersignatures_opinion_id", table_name="countersignatures")
    op.drop_index("ix_countersignatures_consult_id", table_name="countersignatures")
    op.drop_table("countersignatures")
