"""Panels in writing; hospital systems that read by FHIR, whose records are open to them, the hashes of their tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "written_consults",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.Text(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_written_consults")),
        sa.UniqueConstraint("id", name=op.f("uq_written_consults_id")),
    )
    op.create_index("ix_written_consults_consult_id", "written_consults", ["consult_id"], unique=False)
    op.create_table(
        "his_clients",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_his_clients")),
        sa.UniqueConstraint("id", name=op.f("uq_his_clients_id")),
    )
    op.create_index("ix_his_clients_institution_id", "his_clients", ["institution_id"], unique=False)
    op.create_table(
        "client_scopes",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.Text(), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_client_scopes")),
        sa.UniqueConstraint("id", name=op.f("uq_client_scopes_id")),
    )
    op.create_index("ix_client_scopes_client_id_patient_id", "client_scopes", ["client_id", "patient_id"], unique=False)
    op.create_table(
        "client_tokens",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_client_tokens")),
        sa.UniqueConstraint("id", name=op.f("uq_client_tokens_id")),
    )
    op.create_index("ix_client_tokens_client_id", "client_tokens", ["client_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_client_tokens_client_id", table_name="client_tokens")
    op.drop_table("client_tokens")
    op.drop_index("ix_client_scopes_client_id_patient_id", table_name="client_scopes")
    op.drop_table("client_scopes")
    op.drop_index("ix_his_clients_institution_id", table_name="his_clients")
    op.drop_table("his_clients")
    op.drop_index("ix_written_consults_consult_id", table_name="written_consults")
    op.drop_table("written_consults")
