"""The audit log: any edit, removal or reordering of rows is found, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from service.store.audit import AuditLog
from service.store.database import open_database

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def database(database_url, make_settings):
    database = open_database(make_settings(database_url=database_url).database)
    yield database
    database.close()


@pytest.fixture
def log(database):
    log = AuditLog(database, lambda: NOW)
    for number in range(1, 6):
        with database.write() as connection:
            log.append(connection, "test.event", f"INC-{number}", {"number": number, "words": "Grüße"}, actor="me")
    return log


def change(database, *statements):
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_an_untouched_log_holds(log):
    report = log.verify()
    assert (report.entries, report.breaks) == (5, ())


@pytest.mark.parametrize("column", ["at", "actor", "event", "subject", "data", "previous", "hash"])
def test_an_edited_field_is_found(log, database, column):
    change(database, f"UPDATE audit SET {column} = 'x' || substr({column}, 2) WHERE number = 3")
    assert any("entry 3" in words or "entry 4" in words for words in log.verify().breaks)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_removed_row_is_found(log, database, number):
    change(database, f"DELETE FROM audit WHERE number = {number}")
    assert log.verify().breaks


def test_two_swapped_rows_are_found(log, database):
    change(
        database,
        "UPDATE audit SET number = 100 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 3",
        "UPDATE audit SET number = 3 WHERE number = 100",
    )
    assert log.verify().breaks


def test_an_entry_goes_with_its_change_or_not_at_all(log, database):
    def fail():
        with database.write() as connection:
            log.append(connection, "test.event", "INC-9", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert log.verify().entries == 5


def test_writers_at_the_same_time_make_one_chain(database):
    log = AuditLog(database, lambda: NOW)

    def write(number):
        with database.write() as connection:
            log.append(connection, "test.event", f"INC-{number}", {})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    report = log.verify()
    assert (report.entries, report.breaks) == (40, ())


def test_entries_page_in_order_and_filter_by_subject(log):
    assert [entry.number for entry in log.entries(after=2, limit=2)] == [3, 4]
    assert [entry.data["number"] for entry in log.entries(subject="INC-4")] == [4]
