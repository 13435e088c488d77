"""What outside authorities say of a consent: certificate signatures and time stamps."""

import sqlalchemy as sa
from alembic import op

from huizhen.store.dialects import install_row_guards

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consent_attestations",
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
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_consent_attestations")),
        sa.UniqueConstraint("id", name=op.f("uq_consent_attestations_id")),
    )
    op.create_index("ix_consent_attestations_consult_id", "consent_attestations", ["consult_id"], unique=False)
    op.create_index("ix_consent_attestations_record_id", "consent_attestations", ["record_id"], unique=False)
    install_row_guards(op.get_bind(), ("consent_attestations",))


def downgrade() -> None:
    op.drop_index("ix_consent_attestations_record_id", table_name="consent_attestations")
    op.drop_index("ix_consent_attestations_consult_id", table_name="consent_attestations")
    op.drop_table("consent_attestations")
