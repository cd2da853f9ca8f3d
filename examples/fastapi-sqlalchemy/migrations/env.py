"""Alembic's environment: runs migrations on the database that the application uses."""

from alembic import context
from main import DATABASE, Base
from sqlalchemy import create_engine

with create_engine(DATABASE).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
