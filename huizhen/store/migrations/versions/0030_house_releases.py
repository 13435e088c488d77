"""Invited institutions that the patient stopped sharing with: their experts owe no opinion."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "house_releases",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("released_id", sa.Text(), nullable=False),
        sa.Column("released_at", sa.Text(), nullable=False),
        sa.Column("restored_at", sa.Text(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_house_releases")),
        sa.UniqueConstraint("id", name=op.f("uq_house_releases_id")),
    )
    op.create_index("ix_house_releases_consult_id", "house_releases", ["consult_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_house_releases_consult_id", table_name="house_releases")
    op.drop_table("house_releases")
