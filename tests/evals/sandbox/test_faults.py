"""Each fault shows in scraped telemetry, and what it names as its remedy, used as Suture would, mends it."""

from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest

from evals.sandbox.config import CAUSES, RUNBOOKS, TOPOLOGY
from evals.sandbox.fault import Fault
from evals.sandbox.faults import FAULTS, fault_of
from evals.sandbox.sandbox import Sandbox
from models.domain.base import utc_now
from models.domain.errors import BadInput, Unavailable
from models.domain.incident import Incident
from models.domain.recommendation import Candidate
from runbooks import LIBRARY
from runbooks.binding import bind
from runbooks.loader import load_corpus
from service.executors.certificate import CertificateExecutor
from service.executors.process import ProcessExecutor
from service.executors.script import ScriptExecutor
from service.executors.traffic import TrafficExecutor
from service.ports import Effect, ExecutorClass, ExecutorError
from service.registry import verb_catalogue


def scrape(sandbox: Sandbox) -> dict[str, float]:
    """All series of one round, with `up` of the shop, as the scraper adds it."""
    seen = sandbox.metrics("db-exporter") | sandbox.metrics("loadgen") | sandbox.metrics("proxy")
    try:
        return seen | sandbox.metrics("shop", timeout=0.5) | {"up": 1.0}
    except Unavailable:
        return seen | {"up": 0.0}


def answers(seen: Mapping[str, float], code: str) -> float:
    return seen[f'client_requests_total{{code="{code}"}}']


def answers_took(seen: Mapping[str, float]) -> float:
    """Mean seconds of the shop's answers since its start."""
    return seen["http_request_duration_seconds_sum"] / max(1.0, seen["http_request_duration_seconds_count"])


SYMPTOMS: dict[str, Callable[[Mapping[str, float], Mapping[str, float]], bool]] = {
    "kill_service": lambda before, now: now["up"] == 0 and answers(now, "502") > answers(before, "502") + 10,
    "hang_service": lambda before, now: now["up"] == 0 and answers(now, "error") > answers(before, "error"),
    "kill_database": lambda before, now: (
        now["up"] == 1
        and now["pg_up"] == 0
        and "pg_connections" not in now
        and answers(now, "503") > answers(before, "503") + 10
        and now["db_errors_total"] > before["db_errors_total"]
    ),
    "exhaust_connections": lambda before, now: (
        now["up"] == 1
        and now["pg_up"] == 0
        and now["pg_connections"] == now["pg_max_connections"]
        and answers(now, "503") > answers(before, "503") + 10
    ),
    "overload": lambda before, now: now["shop_worker_utilisation"] > max(0.8, before["shop_worker_utilisation"]),
    "idle_workers": lambda _, now: now["shop_workers"] > 1 and now["shop_worker_utilisation"] < 0.3,
    "broken_start": lambda before, now: now["up"] == 0 and answers(now, "502") > answers(before, "502") + 10,
    "bad_release": lambda before, now: (
        now.get('shop_release_info{version="v2"}') == 1 and answers_took(now) > 4 * answers_took(before)
    ),
    "wrong_remedy": lambda before, now: (
        now["up"] == 1 and now["pg_up"] == 0 and answers(now, "503") > answers(before, "503") + 10
    ),
    "crowd_connections": lambda before, now: (
        now["pg_up"] == 1
        and before["pg_connections"] + 10 <= now["pg_connections"] < 0.95 * now["pg_max_connections"]
        and answers(now, "503") == answers(before, "503")
    ),
    "checkouts_no_database": lambda before, now: (
        now["pg_up"] == 0 and "pg_wal_write_seconds" not in now and answers(now, "503") > answers(before, "503") + 10
    ),
    "checkouts_no_connections": lambda before, now: (
        now["pg_up"] == 0
        and now["pg_connections"] == now["pg_max_connections"]
        and now.get("pg_wal_write_seconds", 9) < 0.5
        and answers(now, "503") > answers(before, "503") + 10
    ),
    "checkouts_slow_disk": lambda before, now: (
        now["pg_up"] == 1 and now["pg_wal_write_seconds"] > 1 and answers(now, "503") > answers(before, "503") + 10
    ),
}


EXECUTORS: dict[str, ExecutorClass] = {
    one.name: one for one in (ProcessExecutor, ScriptExecutor, TrafficExecutor, CertificateExecutor)
}


def remedy_of(fault: type[Fault]) -> Candidate:
    """The action that the fault names as its remedy, with its arguments, for the service that its incident names."""
    assert fault.remedy is not None
    service = "shop" if fault.alert_from else fault.service
    now = utc_now()
    incident = Incident(
        id="INC-1", title="it broke", environment="sandbox", services=(service,), started_at=now, detected_at=now,
        updated_at=now, labels={"service": service, **TOPOLOGY["services"][service]["labels"]},
    )  # fmt: skip
    offered = bind(load_corpus([LIBRARY, RUNBOOKS, CAUSES]).runbooks, incident, verb_catalogue())
    wanted = (fault.remedy.runbook, fault.remedy.action)
    [found] = [one for one in offered.candidates if (one.runbook, one.action) == wanted]
    return found


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_something_cures_names_a_remedy_of_the_catalogue(fault: type[Fault]) -> None:
    assert (fault.remedy is None) == (not fault.cures)
    if fault.remedy is not None:
        assert remedy_of(fault).uses in fault.cures


def test_each_fault_is_tried_here_or_at_the_front_door() -> None:
    assert set(SYMPTOMS) == set(FAULTS) - {"expired_certificate"}


@pytest.mark.parametrize("name", SYMPTOMS)
def test_a_fault_shows_in_telemetry_until_it_is_cured(sandbox: Sandbox, name: str, eventually, act) -> None:
    assert eventually(sandbox.serving)
    fault = fault_of(name, sandbox)
    before = scrape(sandbox)
    fault.inject()
    try:
        assert eventually(lambda: SYMPTOMS[name](before, scrape(sandbox))), scrape(sandbox)
        assert not fault.repaired()
        assert fault.alert is None or eventually(fault.alerting, 30)
        assert sandbox.supervisor.process(fault.process).name == fault.process
        if name == "kill_service":
            with pytest.raises(BadInput, match="broken already"):
                fault_of("hang_service", sandbox).inject()
        if name == "broken_start":
            no_start_brings_it_back(sandbox, act)
        if fault.cures:
            remedy = remedy_of(FAULTS[name])
            executor, verb = remedy.uses.split("/")
            assert act(EXECUTORS[executor], verb, remedy.arguments, key=name) is Effect.HAPPENED
        else:
            if name == "wrong_remedy":
                sandbox.supervisor.restart(fault.process)
            assert not eventually(fault.repaired, 2)
            fault.heal()
        assert eventually(fault.repaired)
        # Customers are served again, and nobody is failed any more, without a restart of anything else.
        after = scrape(sandbox)
        assert eventually(lambda: answers(scrape(sandbox), "200") > answers(after, "200") + 10)
        assert scrape(sandbox)["pg_up"] == 1
        assert sandbox.metrics("shop-standby")['shop_release_info{version="v1"}'] == 1
    finally:
        fault.heal()
    assert eventually(sandbox.serving)


def no_start_brings_it_back(sandbox: Sandbox, act) -> None:
    with suppress(ExecutorError):  # a busy machine calls it running before it has ended
        act(ProcessExecutor, "restart", {"name": "shop"})
    with pytest.raises(ExecutorError, match="releases cannot be read"):
        act(ScriptExecutor, "run", {"program": "shop-release", "args": ["stable"]})
    assert sandbox.supervisor.process("shop").pid == 0


def test_an_unknown_fault_is_answered_with_the_known_ones(sandbox: Sandbox) -> None:
    with pytest.raises(BadInput, match=r"no fault 'meteor'.*kill_database"):
        fault_of("meteor", sandbox)
