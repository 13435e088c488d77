"""Alembic environment; run through huizhen.store.migrate."""
