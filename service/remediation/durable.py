"""DBOS: the library that makes the remediation workflow survive a crash at any instant.

Each completed step's result is in the database before the next step starts; at a restart the workflow runs again from
its beginning, and completed steps answer from the database. https://docs.dbos.dev/python/programming-guide
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.settings import Settings

if TYPE_CHECKING:
    from dbos import DBOS, DBOSClient, EnqueueOptions
    from sqlalchemy.engine import ExceptionContext

APPLICATION = "suture"
WORKFLOW_VERSION = "3"
"""DBOS continues a workflow only with code of the same version. Raise it when the order of steps changes."""

_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


def workflow_of(incident: str, episode: int) -> str:
    """The identifier of the workflow that carries the incident's episode: one for each."""
    return f"remediate-{incident}-{episode}"


def create_dbos(settings: Settings, replica: str) -> type[DBOS]:
    """A DBOS that is not launched yet: workflows are registered first."""
    from dbos import DBOS, DBOSConfig

    DBOS.destroy(destroy_registry=True)
    _tell_lost_connections()
    logging.getLogger("dbos").setLevel(logging.WARNING)
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": workflow_database(settings),
        "application_version": WORKFLOW_VERSION,
        # A new one at each start: what a replica leaves behind is continued by another, or by its own next start.
        "executor_id": replica,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    return DBOS


def _tell_lost_connections() -> None:
    """Mark every failure to connect as a lost connection, which DBOS waits out.

    It goes by the words of an error too, and does not know those for a socket that is not there while a server starts:
    the workflow would break off unrecorded, and nothing would run it again until the next start.
    """
    from sqlalchemy import Engine, event

    if not event.contains(Engine, "handle_error", _mark_lost):
        event.listen(Engine, "handle_error", _mark_lost)


def _mark_lost(context: ExceptionContext) -> None:
    from sqlalchemy.exc import OperationalError

    if context.connection is None and isinstance(context.sqlalchemy_exception, OperationalError):
        context.is_disconnect = True


def continue_workflows(dbos: type[DBOS], replicas: set[str]) -> None:
    """Let any replica of this version go on with what the given ones, which are dead, had begun.

    DBOS' public `resume_workflows` would not do: it also begins what a live replica took up since, and takes a ticket's
    update out of its queue. This one changes, in one statement, only what still belongs to the dead.
    """
    dbos._recover_pending_workflows(sorted(replicas))


def workflow_database(settings: Settings) -> str:
    """Where workflows are kept: beside the store's file on SQLite, in a schema of their own on PostgreSQL."""
    if settings.database_url is None:
        return f"sqlite:///{(settings.state_dir / 'workflows.db').resolve()}"
    if settings.database.startswith("sqlite"):
        file = Path(settings.database.removeprefix("sqlite:///"))
        return f"sqlite:///{file.with_name(file.stem + '-workflows.db')}"
    return settings.database


class WorkflowClient:
    """Talks to workflows through their database: from a step, from the API, or from another process alike."""

    def __init__(self, settings: Settings) -> None:
        self.version = WORKFLOW_VERSION
        self._url = workflow_database(settings)
        self._opening = threading.Lock()
        self._client: DBOSClient | None = None

    def ended(self, workflows: list[str], versions: set[str]) -> dict[str, str]:
        """Those of the workflows in which nothing will go on, with why: they ended, or were begun with code of a
        version that is none of `versions`, those that replicas run.
        """
        if not workflows:
            return {}
        found = self._open().list_workflows(workflow_ids=workflows, load_input=False, load_output=False)
        ended = {one.workflow_id: one.status.lower() for one in found if one.status in _ENDED}
        outdated = {
            one.workflow_id: f"it was begun by version {one.app_version} of the workflow, this is {self.version}"
            for one in found
            if one.app_version not in (None, self.version, *versions)
        }
        return outdated | ended

    def runners(self) -> set[str]:
        """Replicas that have begun workflows of this version and not ended them."""
        pending = self._open().list_workflows(
            status="PENDING", app_version=self.version, load_input=False, load_output=False
        )
        return {one.executor_id for one in pending if one.executor_id}

    def move_on(self, queue: str, working: set[str]) -> None:
        """Put what dead replicas of other versions had taken from the queue there again, for this version.

        Only this version's own is continued otherwise, and the rest of the partition would wait for it for ever.
        """
        client = self._open()
        for one in client.list_workflows(status="PENDING", queue_name=queue, load_input=False, load_output=False):
            if one.app_version == self.version or one.executor_id in working:
                continue
            # In this order: after a crash in between it is there twice, not never.
            client.fork_workflow(
                one.workflow_id, 1, application_version=self.version, queue_name=queue,
                queue_partition_key=one.queue_partition_key,
            )  # fmt: skip
            client.cancel_workflow(one.workflow_id)

    def enqueue(self, queue: str, workflow: str, identifier: str, partition: str, place: int, *arguments: Any) -> None:
        """Put a workflow, by its name, on a queue; a second one of the same identifier is the same one.

        Within a partition they run by `place` (1, 2, …): the times that DBOS keeps are too coarse to tell an order.
        """
        options: EnqueueOptions = {
            "queue_name": queue,
            "workflow_name": workflow,
            "workflow_id": identifier,
            "queue_partition_key": partition,
            "priority": place,
        }
        self._open().enqueue(options, *arguments)

    def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            self._client.destroy()

    def _open(self) -> DBOSClient:
        from dbos import DBOSClient

        with self._opening:
            if self._client is None:
                self._client = DBOSClient(system_database_url=self._url, application_name=APPLICATION, lazy=True)
            return self._client
