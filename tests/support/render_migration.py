"""Write huizhen/store/migrations/versions/0001_initial.py from the models: `python -m tests.support.render_migration`.

Only for the time before the first release. After it a schema change gets a migration of its own.
"""

import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from huizhen.store import schema

TARGET = Path(__file__).parents[2] / "huizhen/store/migrations/versions/0001_initial.py"
_HEAD = '''"""First schema: people, consults, consents, recordings, archive, and the audit log with its guards."""

# ruff: noqa: PLR0915

import sqlalchemy as sa
from alembic import op

from huizhen.store.dialects import install_guards

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
'''


def render() -> str:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"render_as_batch": False})
        operations = produce_migrations(context, schema.metadata)
    engine.dispose()
    assert operations.upgrade_ops is not None and operations.downgrade_ops is not None
    up = render_python_code(operations.upgrade_ops)
    down = render_python_code(operations.downgrade_ops)
    guards = f"install_guards(op.get_bind(), log={schema.APPEND_ONLY_LOG!r}, rows={schema.APPEND_ONLY_ROWS!r})"
    return f"{_HEAD}    {up}\n    {guards}\n\n\ndef downgrade() -> None:\n    {down}\n"


def main() -> None:
    TARGET.write_text(render(), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(TARGET)], check=True)


if __name__ == "__main__":
    main()
