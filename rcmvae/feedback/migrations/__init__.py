"""Alembic's scripts: one file in versions/ for each revision of the schema."""
