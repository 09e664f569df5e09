"""A worker process that claims executions as fast as it can: `racing_worker.py FILE` with what to do as JSON."""

import json
import os
import sys
import time
from collections import deque
from pathlib import Path

from models.domain.base import utc_now
from models.domain.errors import Conflict
from models.domain.execution import ExecutionState, StepRecord
from models.domain.topology import Topology
from service.guard.limits import Held, Limits
from service.guard_settings import LimitSettings
from service.store.audit import AuditLog
from service.store.database import Database
from service.store.executions import Executions, MayNotAct, TargetBusy

ACT_SECONDS = 0.003


def main(told: dict) -> None:
    database = Database(told["url"])
    executions = Executions(database, AuditLog(database, utc_now), utc_now)
    settings, topology = LimitSettings.model_validate(told["limits"]), Topology.model_validate(told["topology"])
    admit = Limits(database, settings, topology, utc_now).admit
    log = os.open(told["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(*words: str) -> None:
        os.write(log, (" ".join(words) + "\n").encode())

    left, ends = deque(told["executions"]), time.monotonic() + told["seconds"]
    while left and time.monotonic() < ends:
        identifier = left.popleft()
        try:
            running = executions.transition(identifier, ExecutionState.RUNNING, step("start"), admit=admit)
        except Held as held:
            say("held", identifier, held.hold.reason)
            if held.hold.wait:
                left.append(identifier)
                time.sleep(0.02)
            continue
        except TargetBusy:
            left.append(identifier)
            continue
        except Conflict as conflict:
            say("conflict", identifier, str(conflict))
            continue
        try:
            executions.begin(identifier, StepRecord(name="act", state="started", at=utc_now()))
        except MayNotAct as refused:
            if str(refused) != "the kill switch is on":
                raise
            # It was turned between the start and the act.
            executions.transition(identifier, ExecutionState.FAILED, step("stopped"))
            say("stopped", identifier, running.candidate.target)
            continue
        # What the target would record: from here to the end of the act it is this execution's alone.
        say("begin", identifier, running.candidate.target)
        time.sleep(ACT_SECONDS)
        say("end", identifier, running.candidate.target)
        executions.transition(identifier, ExecutionState.VERIFYING, step("act"))
        executions.transition(identifier, ExecutionState.SUCCEEDED, step("verify"))
    database.close()


def step(name: str) -> StepRecord:
    return StepRecord(name=name, state="done", at=utc_now())


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
