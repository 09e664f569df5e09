"""Limits over what a database holds, on both kinds of database."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from models.domain.base import utc_now
from models.domain.errors import Conflict
from models.domain.execution import ExecutionState as E
from models.domain.execution import Outcome, StepRecord
from models.domain.incident import Incident, IncidentStatus
from models.domain.topology import Topology
from service.guard.limits import Held, Limits
from service.guard_settings import LimitSettings
from service.store.audit import AuditLog
from service.store.database import open_database
from service.store.executions import Executions
from service.store.incidents import Incidents
from service.store.maintenance import Maintenance
from service.store.state import KillSwitch
from tests.service.guard.test_limits_across_processes import execution

FREE = {"rates": [], "blast_radius": {"share": None}}


class Store:
    def __init__(self, url):
        self.database = open_database(url)
        self.audit = AuditLog(self.database, utc_now)
        self.executions = Executions(self.database, self.audit, utc_now)
        self.incidents = Incidents(self.database, self.audit, utc_now)
        self.kill_switch = KillSwitch(self.database, self.audit)
        self.maintenance = Maintenance(self.database, self.audit, utc_now)
        now = utc_now()
        opened = Incident(id="", title="shop is down", started_at=now, detected_at=now, updated_at=now)
        with self.database.write() as connection:
            self.incident = self.incidents.add(connection, opened).id

    def limits(self, **settings):
        return Limits(self.database, LimitSettings.model_validate(FREE | settings), Topology(), utc_now)

    def new(self, number, target="process:shop-1", service="shop", episode=1):
        made = execution(f"EXE-1-{episode}-{number}", service, target)
        self.executions.add(made, f"remediate-{self.incident}-{episode}")
        return made

    def start(self, made, limits=None):
        admit = (limits or self.limits()).admit
        return self.executions.transition(made.id, E.RUNNING, step(), admit=admit)

    def begin(self, made):
        self.executions.begin(made.id, StepRecord(name="act", state="started", at=utc_now()))

    def end(self, made, *states):
        for state in states:
            self.executions.transition(made.id, state, step())


def step():
    return StepRecord(name="test", state="done", at=utc_now())


@pytest.fixture
def store(database_url):
    one = Store(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    yield one
    one.database.close()


def test_the_word_at_the_start_is_the_one_that_counts_and_changes_nothing_where_it_is_no(store):
    limits = store.limits(rates=[{"count": 1, "per": "1h", "scope": "service"}])
    first, second = store.new(1), store.new(2, target="process:shop-2")
    assert limits.look(second.candidate, utc_now()) is None
    store.start(first, limits)
    with pytest.raises(Held, match="1 execution started on shop within 1h") as held:
        store.start(second, limits)
    assert isinstance(held.value, Conflict)
    assert held.value.hold.wait
    assert store.executions.get(second.id).state is E.PENDING
    assert limits.look(second.candidate, utc_now()).reason == held.value.hold.reason
    store.start(store.new(3, target="process:cart-1", service="cart"), limits)


def test_what_was_admitted_is_not_in_its_own_way_but_the_kill_switch_is(store):
    limits = store.limits(rates=[{"count": 1, "per": "1h"}], blast_radius={"targets": 1})
    first = store.new(1)
    store.start(first, limits)
    assert limits.look(first.candidate, utc_now()) is None
    store.start(first, limits)
    store.kill_switch.turn(True, "ann")
    assert limits.look(first.candidate, utc_now()).reason == "the kill switch is on"
    with pytest.raises(Held, match="the kill switch is on"):
        store.start(store.new(2, target="x", service="x"))


def test_a_target_with_an_uncertain_execution_is_left_alone_until_its_incident_ends(store):
    first, second = store.new(1), store.new(2)
    store.start(first)
    store.end(first, E.UNCERTAIN)
    with pytest.raises(Held, match=f"{first.id} may or may not have acted on process:shop-1") as held:
        store.start(second)
    assert held.value.hold.concerns == "target"
    store.start(store.new(3, target="process:shop-2"))
    store.incidents.transition(store.incident, IncidentStatus.ESCALATED, "uncertain")
    with pytest.raises(Held, match=f"resolve or close {store.incident}"):
        store.start(second)
    store.incidents.transition(store.incident, IncidentStatus.RESOLVED, "looked at", actor="ann")
    store.start(second)


def test_a_doubt_that_a_person_settled_does_not_come_back_with_the_incident(store):
    first = store.new(1)
    store.start(first)
    store.end(first, E.UNCERTAIN)
    store.incidents.transition(store.incident, IncidentStatus.ESCALATED, "uncertain")
    store.incidents.begin_episode(store.incident, 2, "a person asks for more")
    store.start(store.new(1, episode=2))


def test_the_breaker_reads_outcomes_of_the_action_in_the_environment(store):
    def outcome(number, environment="prod", verified=False):
        store.executions.add_outcome(
            Outcome(
                execution=f"EXE-{number}", incident="INC-1", runbook="fix", action="restart", uses="process/restart",
                environment=environment, state=E.FAILED, verified=verified, at=utc_now(),
            )
        )  # fmt: skip

    one = store.new(1)
    for number in range(3):
        outcome(number, environment="staging")
    assert store.limits().look(one.candidate, utc_now()) is None
    for number in range(3, 6):
        outcome(number)
    assert "it rests until" in store.limits().look(one.candidate, utc_now()).reason
    outcome(6, verified=True)
    store.start(one)


def test_maintenance_holds_from_the_instant_that_it_is_planned_until_it_is_ended(store):
    one = store.new(1)
    window = store.maintenance.add(
        service="sh*", environment="prod", starts_at=utc_now(), ends_at=utc_now() + timedelta(hours=1),
        reason="new disks", actor="ann",
    )  # fmt: skip
    with pytest.raises(Held, match=rf"people work on shop until .*: new disks \(maintenance {window.id}\)"):
        store.start(one)
    store.maintenance.end(window.id, "ann")
    with pytest.raises(Conflict, match="is over already"):
        store.maintenance.end(window.id, "ann")
    store.start(one)
    assert store.audit.verify().breaks == ()


def test_a_start_that_came_to_no_act_counts_until_it_has_ended(store):
    limits = store.limits(rates=[{"count": 1, "per": "1h"}], blast_radius={"targets": 1})
    stopped, acted = store.new(1), store.new(2, target="process:shop-2")
    following = store.new(3, target="process:shop-3").candidate
    store.start(stopped, limits)
    assert "may be" in limits.look(following, utc_now()).reason
    store.end(stopped, E.FAILED)
    assert limits.look(following, utc_now()) is None
    assert store.executions.get(stopped.id).started_at is not None, "people still read when it was let start"
    store.start(acted, limits)
    store.begin(acted)
    store.end(acted, E.FAILED)
    assert "may be" in limits.look(following, utc_now()).reason


def test_a_window_from_now_on_holds_from_now_on_whatever_clock_its_planner_has(new_postgres_database):
    store = Store(new_postgres_database().replace("postgresql://", "postgresql+psycopg://", 1))
    fast = Maintenance(store.database, store.audit, lambda: utc_now() + timedelta(hours=1))
    window = fast.add(
        service="*", environment="*", starts_at=None, ends_at=utc_now() + timedelta(minutes=30), reason="disks",
        actor="ann",
    )  # fmt: skip
    with pytest.raises(Held, match="people work on shop"):
        store.start(store.new(1))
    fast.end(window.id, "ann")
    store.start(store.new(2, target="process:shop-2"))
    store.database.close()


def test_a_window_that_holds_is_listed_however_many_were_planned_after_it(store):
    def plan(starts_at, ends_at):
        return store.maintenance.add(
            service="*", environment="*", starts_at=starts_at, ends_at=ends_at, reason="disks", actor="ann"
        ).id

    now = utc_now()
    long, *later = (plan(None, now + timedelta(days=10 - n)) for n in range(4))
    for each in later:
        store.maintenance.end(each, "ann")
    assert [window.id for window in store.maintenance.all(limit=2)] == [*later[:0:-1], long]


def test_replicas_whose_clocks_differ_count_alike(new_postgres_database):
    """One whose clock is an hour slow, or fast, neither starts too much nor is held by its own clock."""
    store = Store(new_postgres_database().replace("postgresql://", "postgresql+psycopg://", 1))
    for number, hours in enumerate((1, -1)):
        clock = lambda hours=hours: utc_now() + timedelta(hours=hours)  # noqa: E731
        settings = LimitSettings.model_validate(FREE | {"rates": [{"count": 1, "per": "10m", "scope": "target"}]})
        other = Executions(store.database, store.audit, clock)
        limits = Limits(store.database, settings, Topology(), clock)
        first, second = (store.new(f"{number}{n}", target=f"process:{number}") for n in range(2))
        other.transition(first.id, E.RUNNING, step(), admit=limits.admit)
        store.begin(first)
        store.end(first, E.VERIFYING, E.SUCCEEDED)
        with pytest.raises(Held, match=f"on process:{number} within 10m") as held:
            other.transition(second.id, E.RUNNING, step(), admit=limits.admit)
        assert abs(held.value.hold.until - utc_now() - timedelta(minutes=10)) < timedelta(minutes=1)
    store.database.close()


def test_a_server_that_shows_old_snapshots_by_default_does_not_weaken_a_limit(new_postgres_database):
    url = new_postgres_database().replace("postgresql://", "postgresql+psycopg://", 1)
    store = Store(url)
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = connection.execute(text("SELECT current_database()")).scalar()
        connection.execute(text(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'"))
    store.database.close()
    again = open_database(url)
    with again.write() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"
    again.close()


def test_a_session_that_is_stuck_with_the_lock_is_ended_by_the_server(new_postgres_database):
    store = Store(new_postgres_database().replace("postgresql://", "postgresql+psycopg://", 1))
    with store.database.write() as connection:
        store.database.lock(connection, "admission")
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "20s"
    with store.database.write() as connection:
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "0"
    store.database.close()


def test_reading_the_facts_scans_no_table_of_executions(store):
    """However many there are: each statement has an index that leads to the few rows that matter."""
    if not store.database.is_sqlite:
        pytest.skip("PostgreSQL chooses by the size of tables, and these are small")
    asked = []
    event.listen(
        store.database.engine, "before_cursor_execute", lambda _c, _u, sql, given, *_: asked.append((sql, given))
    )
    store.limits(rates=[{"count": 1, "per": "1h"}]).look(store.new(1).candidate, datetime.now(UTC))
    facts = [(sql, given) for sql, given in asked if sql.startswith("SELECT") and "executions.target" in sql]
    assert len(facts) == 3
    with store.database.read() as connection:
        for sql, given in facts:
            plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given))
            assert "SCAN executions USING INDEX executions_one_active_per_target" in plan or "SCAN" not in plan, plan
