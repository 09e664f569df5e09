"""Incidents on both databases: statuses by compare-and-set, versions, timelines, pages."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from models.domain.errors import Conflict, NotFound
from models.domain.incident import ACTIVE_STATUSES, INCIDENT_TRANSITIONS, Incident, IncidentStatus
from service.store.audit import AuditLog
from service.store.database import open_database
from service.store.incidents import Incidents

S = IncidentStatus
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def store(database_url, make_settings):
    database = open_database(make_settings(database_url=database_url).database)
    incidents = Incidents(database, AuditLog(database, lambda: NOW), lambda: NOW)
    incidents.database = database
    yield incidents
    database.close()


def add(store, **changes):
    fields = {"id": "", "title": "Shop is down", "started_at": NOW, "detected_at": NOW, "updated_at": NOW} | changes
    with store.database.write() as connection:
        return store.add(connection, Incident(**fields))


def test_an_incident_reads_back_as_it_was_stored(store):
    added = add(store, services=("shop",), labels={"process": "shop"}, description="Grüße")
    read = store.get(added.id)
    assert added.id == "INC-1"
    assert (read.title, read.services, read.labels, read.description) == (
        "Shop is down", ("shop",), {"process": "shop"}, "Grüße",
    )  # fmt: skip
    assert [entry.kind for entry in read.timeline] == ["opened"]


@pytest.mark.parametrize("current", list(S))
def test_only_the_transitions_of_the_table_are_possible(store, current):
    for following in S:
        if following is current:
            continue
        incident = add(store).id
        for step in _path(current):
            store.transition(incident, step, "on the way")
        if following in INCIDENT_TRANSITIONS[current]:
            assert store.transition(incident, following, "it may")
            assert store.get(incident).status is following
            assert (store.get(incident).ended_at is None) == (following in ACTIVE_STATUSES)
        else:
            with pytest.raises(Conflict):
                store.transition(incident, following, "it may not")
            assert store.get(incident).status is current


def _path(to):
    """The shortest way from open to a status, without open itself."""
    ways = [[S.OPEN]]
    while ways:
        way = ways.pop(0)
        if way[-1] is to:
            return way[1:]
        ways += [[*way, following] for following in sorted(INCIDENT_TRANSITIONS[way[-1]]) if following not in way]
    raise AssertionError(f"{to} cannot be reached")


def test_a_repeated_transition_changes_and_records_nothing(store):
    incident = add(store).id
    assert store.transition(incident, S.INVESTIGATING, "first")
    assert not store.transition(incident, S.INVESTIGATING, "again")
    assert [entry.kind for entry in store.get(incident).timeline] == ["opened", "investigating"]


def test_of_many_writers_exactly_one_makes_a_transition(store):
    incident = add(store).id
    store.transition(incident, S.INVESTIGATING, "ready")

    def attempt(_):
        try:
            return store.transition(incident, S.MITIGATING, "mine")
        except Conflict:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def save(store, incident):
    with store.database.write() as connection:
        return store.save(connection, incident)


def test_a_writer_that_read_an_older_version_is_refused(store):
    old = add(store)
    save(store, old.model_copy(update={"title": "newer"}))
    with pytest.raises(Conflict):
        save(store, old.model_copy(update={"title": "from an old reading"}))
    assert store.get(old.id).title == "newer"


def test_saving_a_document_does_not_touch_status_or_timeline(store):
    incident = add(store)
    store.transition(incident.id, S.INVESTIGATING, "working")
    save(store, incident.model_copy(update={"title": "changed"}))
    assert store.get(incident.id).status is S.INVESTIGATING
    assert len(store.get(incident.id).timeline) == 2


def test_many_changes_at_once_are_all_kept(store):
    incident = add(store).id

    def widen(number):
        store.change(incident, lambda now: now.model_copy(update={"services": (*now.services, f"s{number}")}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(widen, range(16)))
    assert sorted(store.get(incident).services) == sorted(f"s{number}" for number in range(16))


@pytest.mark.parametrize("taken", [S.ESCALATED, S.RESOLVED, S.CLOSED])
def test_a_remediation_leaves_alone_what_a_person_ended_or_took(store, taken):
    incident = add(store).id
    store.transition(incident, taken, "mine", actor="ann")
    others = [status for status in S if status not in {taken, S.OPEN}]
    assert not any(store.advance(incident, 1, status, "on the way") for status in others)
    assert store.get(incident).status is taken
    assert store.get(incident).timeline[-1].data == {"by": "ann"}


def test_a_remediation_of_an_earlier_episode_changes_nothing(store):
    incident = add(store, episode=2).id
    assert not store.advance(incident, 1, S.INVESTIGATING, "from before")
    assert store.advance(incident, 2, S.INVESTIGATING, "now")
    assert store.advance(incident, 2, S.INVESTIGATING, "again, after a crash")


def test_an_ending_is_owed_to_the_ticket_until_it_is_told(store):
    incident = add(store).id
    assert store.tickets_owed() == []
    store.transition(incident, S.ESCALATED, "look")
    [(owing, first)] = store.tickets_owed()
    assert owing == incident
    store.transition(incident, S.CLOSED, "done")
    store.ticket_told(incident, first)
    [(_, second)] = store.tickets_owed()
    assert second.startswith("closed ")
    store.ticket_told(incident, second)
    assert store.tickets_owed() == []


def test_the_present_episodes_of_a_status(store):
    one, two = add(store).id, add(store, episode=3).id
    store.transition(add(store).id, S.CLOSED, "over")
    assert store.episodes([S.OPEN]) == [(one, 1), (two, 3)]


def test_a_timeline_entry_of_a_known_key_is_written_once(store):
    incident = add(store).id
    for _ in range(2):
        store.record(incident, "decided", "permit", key="decided-1")
    assert [entry.kind for entry in store.get(incident).timeline] == ["opened", "decided"]


def test_pages_go_from_the_newest_to_the_oldest_without_gaps(store):
    ids = [add(store).id for _ in range(5)]
    first = store.page(limit=3)
    rest = store.page(after=int(first[-1].id.removeprefix("INC-")), limit=3)
    assert [incident.id for incident in [*first, *rest]] == ids[::-1]


@pytest.mark.parametrize("name", ["INC-999", "EXE-1", "INC-", "INC-x", "1"])
def test_what_does_not_exist_is_not_found(store, name):
    with pytest.raises(NotFound):
        store.get(name)


def test_all_that_were_handed_over_unmatched_are_found_however_many_came_after(store):
    for number in range(60):
        known = None if number == 1 else () if number else ("other-runbook",)
        store.transition(add(store, abstained_with=known).id, S.ESCALATED, "nothing fits")
    add(store, abstained_with=())
    found = store.unmatched()
    assert [one.id for one in found][:2] == ["INC-1", "INC-3"]
    assert (len(found), found[0].abstained_with) == (59, ("other-runbook",))


def test_nul_in_one_incident_does_not_keep_the_others_from_being_found(store):
    """It comes from alerts; PostgreSQL can read no field of a JSON document that holds it."""
    add(store, description="a\x00b", labels={"path": "C:\\u0000", "\x00": "\\\x00"}, abstained_with=("x\x00",))
    store.transition("INC-1", S.ESCALATED, "a\x00b")
    add(store)
    assert store.episodes([S.OPEN, S.ESCALATED]) == [("INC-1", 1), ("INC-2", 1)]
    [read] = store.unmatched()
    assert (read.description, read.labels) == ("a\ufffdb", {"path": "C:\\u0000", "\ufffd": "\\\ufffd"})
    assert store.get("INC-1").timeline[-1].text == "a\ufffdb"
