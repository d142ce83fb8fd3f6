"""How Alembic runs the revisions: always on the connection that rcmvae.feedback.revision gives."""

from alembic import context

from rcmvae.jobs.schema import retrain_job

# render_as_batch: SQLite cannot alter a column in place.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=retrain_job.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
