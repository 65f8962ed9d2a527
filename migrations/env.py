"""Runs the migrations: on the connection that vrtracker hands over, or on a URL.

The URL comes from ``alembic -x url=…`` or from VRTRACKER_URL.
"""

import os

from alembic import context

from vrtracker.database.engines import Database
from vrtracker.database.migration import include_object, leave_alone
from vrtracker.errors import ConfigurationError
from vrtracker.models import Base


def run(connection):
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=include_object,
        compare_type=True,
        # Our connections begin a transaction for schema changes too, on SQLite as well.
        transactional_ddl=True,
    )
    # Set while a lab's own database is adopted, whose tables have their last form by then.
    if context.config.attributes.get("settled"):
        leave_alone(context.get_context().impl, context.config.attributes["settled"])
    with context.begin_transaction():
        context.run_migrations()


def run_on_url():
    url = context.get_x_argument(as_dictionary=True).get("url") or os.environ.get("VRTRACKER_URL")
    if not url:
        raise ConfigurationError(
            "No database given; use: alembic -x url=lab.db upgrade head, or set VRTRACKER_URL."
        )
    database = Database(url, create=True)
    with database.changing_schema() as connection:
        run(connection)
    database.dispose()


if context.is_offline_mode():
    raise ConfigurationError("Migrations run on a live database; leave out --sql.")
if context.config.attributes.get("connection") is not None:
    run(context.config.attributes["connection"])
else:
    run_on_url()
