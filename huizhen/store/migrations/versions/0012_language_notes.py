"""Which language a person reads, where it is not the one they signed in."""

import sqlalchemy as sa
from alembic import op

from huizhen.store.dialects import install_row_guards

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "language_notes",
        sa.Column("pos", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("consult_id", sa.Text(), nullable=False),
        sa.Column("seat_id", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("noted_by", sa.Text(), nullable=False),
        sa.Column("noted_at", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos", name=op.f("pk_language_notes")),
        sa.UniqueConstraint("id", name=op.f("uq_language_notes_id")),
    )
    op.create_index("ix_language_notes_consult_id", "language_notes", ["consult_id"], unique=False)
    install_row_guards(op.get_bind(), ("language_notes",))


def downgrade() -> None:
    op.drop_index("ix_language_notes_consult_id", table_name="language_notes")
    op.drop_table("language_notes")
