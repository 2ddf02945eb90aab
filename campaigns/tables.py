"""Whether the tables are those that this code was written for."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from campaigns.errors import CampaignsError


class OldTables(CampaignsError):
    """What came of a mail could not be written."""


def refuse_old_tables() -> None:
    """Raise OldTables where a migration has not been applied: nothing may be handed
    over whose outcome finds no place."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise OldTables(
            f"The database lacks {len(missing)} changes of this version: run "
            "manage.py migrate, then start again."
        )
