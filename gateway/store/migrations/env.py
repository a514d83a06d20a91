"""Run by Alembic inside the transaction that `migrations.upgrade` opened."""

from alembic import context

from gateway.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, compare_type=True
)
context.run_migrations()
