"""What Alembic runs: the migrations, on the connection that it is given."""

from alembic import context

from models.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # The caller's transaction is the only one.
    transactional_ddl=False,
)
context.run_migrations()
