"""Every fault by its name."""

from __future__ import annotations

from evals.sandbox.fault import Fault as Fault  # noqa: PLC0414
from evals.sandbox.faults_checkouts import CheckoutsNoConnections, CheckoutsNoDatabase, CheckoutsSlowDisk
from evals.sandbox.faults_database import CrowdConnections, ExhaustConnections, KillDatabase, WrongRemedy
from evals.sandbox.faults_load import IdleWorkers, Overload
from evals.sandbox.faults_proxy import ExpiredCertificate
from evals.sandbox.faults_shop import BadRelease, BrokenStart, HangService, KillService
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import BadInput

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        KillService,
        HangService,
        KillDatabase,
        ExhaustConnections,
        Overload,
        IdleWorkers,
        BrokenStart,
        BadRelease,
        ExpiredCertificate,
        WrongRemedy,
        CrowdConnections,
        CheckoutsNoConnections,
        CheckoutsNoDatabase,
        CheckoutsSlowDisk,
    )
}


def check_name(name: str) -> None:
    """Raises BadInput that lists the names where there is no fault of this one."""
    if name not in FAULTS:
        raise BadInput(f"there is no fault {name!r}: choose one of {', '.join(FAULTS)}")


def fault_of(name: str, sandbox: Sandbox) -> Fault:
    """A fault by its name. Raises BadInput as `check_name` does."""
    check_name(name)
    return FAULTS[name](sandbox)
