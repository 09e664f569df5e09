import json

from models.detection.logs.book import LogBook
from models.detection.logs.config import LogSettings
from models.detection.logs.lines import LogLine
from models.domain.base import utc_now
from service.log_intake import STATE
from service.store.state import DetectorStates


def test_templates_that_were_saved_are_listed(suture, installation, stored):
    book = LogBook(LogSettings())
    at = utc_now().timestamp()
    book.take([LogLine(at, ("shop", "prod"), "error", f"order {n} lost by ada@example.org") for n in range(3)], at)
    book.take([LogLine(at, ("cart", ""), "info", "ready")], at)
    with stored() as state:
        DetectorStates(state.database, utc_now).save(STATE, book.dump())
    data = ("--data", str(installation))
    rows = suture("logs", "templates", *data).stdout.splitlines()
    assert rows[0].split()[:5] == ["SERVICE", "ENVIRONMENT", "ID", "LEVEL", "COUNT"]
    assert rows[1].split()[:5] == ["shop", "prod", "1", "error", "3"]
    assert rows[1].endswith("order <num> lost by <email>")
    [only] = json.loads(suture("logs", "templates", "--service", "cart", "--json", *data).stdout)
    assert only["template"] == "ready"
    assert "1 more" in suture("logs", "templates", "--limit", "1", *data).stderr


def test_a_state_of_another_version_is_one_line(suture, installation, stored):
    with stored() as state:
        DetectorStates(state.database, utc_now).save(STATE, b'{"version": 99}')
    done = suture("logs", "templates", "--data", str(installation))
    assert done.exit_code == 1
    assert "version 99" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_logs_the_list_is_empty(suture, installation):
    assert json.loads(suture("logs", "templates", "--json", "--data", str(installation)).stdout) == []


def test_an_event_is_put_on_the_incident_that_began_before_it(suture, installation, stored):
    data = ("--data", str(installation))
    done = suture("event", "add", "deployment", "shop 2026.1.3", "--service", "shop", *data)
    assert done.stdout == "EVT-1: deployment of shop\n"
    suture("event", "add", "config", "another one's", "--service", "cart", *data)
    listed = suture("event", "list", *data).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["ID", "EVT-2", "EVT-1"]
    shown = suture("incident", "show", "INC-1", *data).stdout
    assert "shop 2026.1.3" in shown
    assert "another one's" not in shown
    assert "shop 2026.1.3" in suture("incident", "report", "INC-1", *data).stdout


def test_an_event_without_a_text_is_refused(suture, installation):
    done = suture("event", "add", "deployment", "", "--data", str(installation))
    assert done.exit_code == 2
    assert "TEXT" in done.stderr
