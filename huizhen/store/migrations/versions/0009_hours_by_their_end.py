"""A doctor's visits and shifts are looked for by when they end: what is long over is not read."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEYS = (("consults", "doctor_id"), ("duty_shifts", "staff_id"))


def upgrade() -> None:
    for table, key in _KEYS:
        op.create_index(f"ix_{table}_{key}_ends_at", table, [key, "ends_at"], unique=False)
        op.drop_index(f"ix_{table}_{key}", table_name=table)


def downgrade() -> None:
    for table, key in _KEYS:
        op.create_index(f"ix_{table}_{key}", table, [key], unique=False)
        op.drop_index(f"ix_{table}_{key}_ends_at", table_name=table)
