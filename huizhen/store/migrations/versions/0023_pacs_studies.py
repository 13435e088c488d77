"""The allow-list of studies in the hospital's own archive, per consult."""

import sqlalchemy as sa
from alembic import op

from huizhen.store.dialects import install_row_guards

revision = "0023"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pacs_studies",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("modalities", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("instances", sa.BigInteger(), nullable=False),
        sa.Column("allowed_by", sa.Text(), nullable=False),
        sa.Column("allowed_at", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_pacs_studies")),
        sa.UniqueConstraint("id", name=op.f("uq_pacs_studies_id")),
    )
    op.create_index("ix_pacs_studies_consult_id", "pacs_studies", ["consult_id"], unique=False)
    install_row_guards(op.get_bind(), ("pacs_studies",))


def downgrade() -> None:
    op.drop_index("ix_pacs_studies_consult_id", table_name="pacs_studies")
    op.drop_table("pacs_studies")
