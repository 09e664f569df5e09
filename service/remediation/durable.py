"""DBOS: the library that makes the remediation workflow survive a crash at any instant.

Each completed step's result is in the database before the next step starts; at a restart the workflow runs again from
its beginning, and completed steps answer from the database. https://docs.dbos.dev/python/programming-guide
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from service.settings import Settings

if TYPE_CHECKING:
    from dbos import DBOS

APPROVAL = "approval"
"""The topic on which a workflow hears that a person has spoken."""

WORKFLOW_VERSION = "1"
"""DBOS continues a workflow only with code of the same version. Raise it when the order of steps changes."""


def create_dbos(settings: Settings) -> type[DBOS]:
    """A DBOS that is not launched yet: workflows are registered first."""
    from dbos import DBOS, DBOSConfig

    DBOS.destroy(destroy_registry=True)
    logging.getLogger("dbos").setLevel(logging.WARNING)
    config: DBOSConfig = {
        "name": "suture",
        "system_database_url": workflow_database(settings),
        "application_version": WORKFLOW_VERSION,
        # Each replica continues its own workflows after a restart.
        "executor_id": socket.gethostname(),
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": 0.2,
    }
    DBOS(config=config)
    return DBOS


def workflow_database(settings: Settings) -> str:
    """Where workflows are kept: beside the store's file on SQLite, in a schema of their own on PostgreSQL."""
    if settings.database_url is None:
        return f"sqlite:///{(settings.state_dir / 'workflows.db').resolve()}"
    if settings.database.startswith("sqlite"):
        file = Path(settings.database.removeprefix("sqlite:///"))
        return f"sqlite:///{file.with_name(file.stem + '-workflows.db')}"
    return settings.database


class Waker:
    """Tells a workflow, by its id, that a person has spoken: from the process that runs it or from another."""

    def __init__(self, dbos: type[DBOS], settings: Settings) -> None:
        self._dbos = dbos
        self._settings = settings
        self.launched = False

    def __call__(self, workflow: str) -> None:
        """Wake it. What was said is in the database already: a waking that is lost only costs time."""
        if self.launched:
            self._dbos.send(workflow, True, APPROVAL)
            return
        from dbos import DBOSClient

        client = DBOSClient(system_database_url=workflow_database(self._settings))
        try:
            client.send(workflow, True, APPROVAL)
        finally:
            client.destroy()
