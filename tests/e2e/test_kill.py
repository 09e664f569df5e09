"""SIGKILL of the service at the worst moments: no accepted signal is lost, no effect repeated, all work finished."""

import random
import sys
import time

import pytest

# The effect is a line in `effects`. Where `victim` holds a process id, that process is killed: once, since it is taken
# away first. `happened` is the question whether the call took effect. `early`: killed before the effect, which comes
# about when `go` is there.
PROGRAM = f"""#!{sys.executable}
import os, signal, sys, time
from pathlib import Path

key = os.environ["SUTURE_IDEMPOTENCY_KEY"]
effects, victim = Path("effects"), Path("victim")
if sys.argv[1] == "happened":
    sys.exit(0 if effects.exists() and key in effects.read_text().splitlines() else 1)

def kill():
    if victim.exists():
        pid = int(victim.read_text())
        victim.unlink()
        os.kill(pid, signal.SIGKILL)

if sys.argv[1] == "early":
    kill()
    for _ in range(1000):
        if Path("go").exists():
            break
        time.sleep(0.05)
with effects.open("a") as file:
    print(key, file=file, flush=True)
kill()
"""

RUNBOOKS = {
    "Askable": ("askable", "late"),
    "AskedTooSoon": ("askable", "early"),
    "CannotBeAsked": ("mute", "late"),
    "Idempotent": ("idempotent", "late"),
}


@pytest.fixture(scope="module")
def suture(shared_database, tmp_path_factory, suture_of):
    """One installation on each database, killed by every test and started again."""
    folder = tmp_path_factory.mktemp("kill")
    path = folder / "program"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    program = {"path": str(path), "working_dir": str(folder)}
    programs = {
        "askable": {**program, "observe": ["happened"]},
        "mute": program,
        "idempotent": {**program, "idempotent": True},
    }
    ledger = {"file": str(folder / "ledger")}
    suture = suture_of(folder, shared_database, executors={"script": {"programs": programs}, "ledger": ledger})
    for alert, (program, moment) in RUNBOOKS.items():
        suture.runbook(alert, uses="script/run", arguments={"program": program, "args": [moment, "{{ service }}"]})
    suture.runbook("ShopBroken")
    suture.serve()
    return suture


def effects(suture, execution):
    """How often the program's effect came about for an execution, as the target itself recorded it."""
    file = suture.folder / "effects"
    return file.read_text().splitlines().count(f"{execution['id']}:act") if file.exists() else 0


def killed_amid(suture, alert):
    """Let the action's program kill the service while it runs, and start it again; the incident."""
    suture.measure(1)
    (suture.folder / "victim").write_text(str(suture.process.pid))
    incident = suture.alert(alert, service=alert.lower())
    suture.process.wait_killed()
    suture.serve()
    return incident


def finished(suture, incident):
    """The incident as it ended, and its one execution."""
    ended = suture.ended(incident, seconds=30)
    [execution] = suture.executions(incident)
    return ended, execution


def test_an_effect_without_a_record_is_asked_for_and_not_repeated(suture):
    incident, execution = finished(suture, killed_amid(suture, "Askable"))
    assert effects(suture, execution) == 1
    assert (incident["status"], execution["state"]) == ("resolved", "succeeded")
    assert "the target says that the act happened" in str(execution["steps"])
    assert suture.ticket(incident["id"])["resolution"]


def test_a_program_that_outlives_the_service_is_not_started_beside_itself(suture):
    """It is asked for its effect after it has ended, not while it may still come about."""
    incident = killed_amid(suture, "AskedTooSoon")
    time.sleep(2)  # by now the workflow has continued
    assert suture.incident(incident)["status"] == "mitigating"
    (suture.folder / "go").touch()
    incident, execution = finished(suture, incident)
    assert effects(suture, execution) == 1
    assert (incident["status"], execution["state"]) == ("resolved", "succeeded")


def test_what_cannot_be_asked_is_left_to_a_person(suture):
    incident, execution = finished(suture, killed_amid(suture, "CannotBeAsked"))
    assert effects(suture, execution) == 1
    assert (incident["status"], execution["state"]) == ("escalated", "uncertain")
    assert "cannot tell whether the act happened" in incident["timeline"][-1]["text"]


def test_what_may_be_done_twice_is_done_again(suture):
    incident, execution = finished(suture, killed_amid(suture, "Idempotent"))
    assert effects(suture, execution) == 2
    assert (incident["status"], execution["state"]) == ("resolved", "succeeded")


def test_a_signal_that_was_acknowledged_is_there_after_the_kill(suture):
    suture.measure(1)
    incident = suture.alert("ShopBroken", service="acknowledged")
    suture.process.kill()
    suture.serve()
    assert suture.incident(incident)["signals"][0]["labels"] == {"service": "acknowledged"}
    assert suture.ended(incident)["status"] == "resolved"
    assert suture.ledger().count("acknowledged") == 1


def test_kills_at_any_instant_lose_nothing_and_repeat_nothing(suture):
    chance = random.Random(20240607)
    services = {}
    for round_ in range(3):
        suture.measure(1)
        for one in range(2):
            service = f"round-{round_}-{one}"
            services[service] = suture.alert("ShopBroken", service=service)
        time.sleep(chance.uniform(0, 1.5))
        suture.process.kill()
        suture.serve()
    for service, incident in services.items():
        assert suture.ended(incident)["status"] == "resolved", service
        assert [execution["state"] for execution in suture.executions(incident)] == ["succeeded"]
    written = [name for name in suture.ledger() if name in services]
    assert sorted(written) == sorted(services)
    checked = suture.command("audit", "verify")
    assert checked.returncode == 0, checked.stdout + checked.stderr
