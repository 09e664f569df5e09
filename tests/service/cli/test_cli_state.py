import json

import pytest

from models.domain.execution import ExecutionState, StepRecord


def test_incidents_as_a_table_and_as_json(suture, installation):
    table = suture("incident", "list", "--data", str(installation)).stdout.splitlines()
    assert table[0].split() == ["ID", "STATUS", "SEVERITY", "ENVIRONMENT", "SERVICES", "STARTED", "TITLE"]
    assert table[1].startswith("INC-1  open")
    assert "\x1b" not in table[1]
    listed = json.loads(suture("incident", "list", "--json", "--data", str(installation)).stdout)
    assert [each["id"] for each in listed] == ["INC-1"]
    assert (
        json.loads(suture("incident", "list", "--status", "closed", "--json", "--data", str(installation)).stdout) == []
    )
    wrong = suture("incident", "list", "--status", "shut", "--data", str(installation))
    assert wrong.exit_code == 2
    assert "closed" in wrong.stderr
    shown = json.loads(suture("incident", "show", "INC-1", "--json", "--data", str(installation)).stdout)
    assert shown["timeline"][0]["kind"] == "opened"


def test_approving_by_incident_is_recorded_with_the_user(suture, installation, stored, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    done = suture("approve", "INC-1", "--comment", "go", "--data", str(installation))
    assert done.exit_code == 0, done.stderr
    assert "EXE-1" in done.stdout
    with stored() as state:
        approval = state.executions.approvals("EXE-1")[0]
    assert (approval.by, approval.approved, approval.comment) == ("cli:ada", True, "go")
    again = suture("reject", "EXE-1", "--data", str(installation))
    assert again.exit_code == 1
    assert "already decided" in again.stderr
    shown = suture("execution", "show", "EXE-1", "--data", str(installation)).stdout
    assert "approved  by cli:ada: go" in shown


def test_rejecting_by_execution(suture, installation, stored):
    assert suture("reject", "EXE-1", "--data", str(installation)).exit_code == 0
    with stored() as state:
        assert [word.approved for word in state.executions.approvals("EXE-1")] == [False]


def test_an_incident_without_a_waiting_execution_cannot_be_approved(suture, installation, stored):
    with stored() as state:
        step = StepRecord(name="start", state="done", at=state.executions.get("EXE-1").created_at)
        state.executions.transition("EXE-1", ExecutionState.CANCELLED, step)
    done = suture("approve", "INC-1", "--data", str(installation))
    assert done.exit_code == 1
    assert "no execution waits" in done.stderr
    assert suture("approve", "INC-7", "--data", str(installation)).exit_code == 1
    assert suture("approve", "EXE-7", "--data", str(installation)).exit_code == 1


def test_executions(suture, installation):
    listed = json.loads(suture("execution", "list", "--state", "pending", "--json", "--data", str(installation)).stdout)
    assert [each["id"] for each in listed] == ["EXE-1"]
    assert "process:shop" in suture("execution", "list", "--data", str(installation)).stdout


def test_the_kill_switch(suture, installation):
    data = ("--data", str(installation))
    assert json.loads(suture("kill-switch", "status", "--json", *data).stdout) == {"on": False}
    assert suture("kill-switch", "on", *data).stdout == "the kill switch is on\n"
    assert suture("kill-switch", "status", *data).stdout == "the kill switch is on\n"
    assert suture("kill-switch", "off", *data).exit_code == 0
    events = [each["event"] for each in json.loads(suture("audit", "list", "--json", *data).stdout)]
    assert events[-2:] == ["kill-switch.on", "kill-switch.off"]


def test_an_edited_audit_log_is_found(suture, installation, stored):
    data = ("--data", str(installation))
    assert suture("audit", "verify", *data).exit_code == 0
    with stored() as state, state.database.write() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'somebody' WHERE number = 1")
    broken = suture("audit", "verify", *data)
    assert broken.exit_code == 1
    assert "entry 1 was edited" in broken.stdout
    assert json.loads(suture("audit", "verify", "--json", *data).stdout)["intact"] is False


def test_keys(suture, folder, stored):
    data = ("--data", str(folder))
    made = suture("key", "create", "alertmanager", "--role", "sender", *data)
    assert made.exit_code == 0
    with stored() as state:
        key = state.keys.authenticate(made.stdout.strip())
    assert (key.name, key.role) == ("alertmanager", "sender")
    assert made.stdout.strip() not in suture("key", "list", *data).stdout
    assert suture("key", "revoke", key.id, *data).exit_code == 0
    assert suture("key", "revoke", key.id, *data).exit_code == 1


@pytest.mark.parametrize("arguments", [("x", "--role", "king"), ("",), ("a\x07b",)])
def test_keys_that_cannot_be(suture, folder, arguments):
    assert suture("key", "create", *arguments, "--data", str(folder)).exit_code == 2


def test_a_database_of_a_newer_version_is_told_so(suture, installation, stored):
    with stored() as state, state.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    done = suture("incident", "list", "--data", str(installation))
    assert done.exit_code == 2
    assert "was written by a newer Suture" in done.stderr


def test_maintenance_is_planned_shown_and_ended(suture, installation):
    planned = suture(
        "maintenance", "add", "--service", "shop-*", "--to", "2099-01-01T06:00+01:00", "--reason", "new disks",
        "--data", str(installation),
    )  # fmt: skip
    assert planned.exit_code == 0
    assert "MNT-1: nothing is started on shop-* from" in planned.stdout
    assert "to 2099-01-01 05:00:00 UTC" in planned.stdout
    assert "holds" in suture("maintenance", "list", "--data", str(installation)).stdout
    assert suture("maintenance", "end", "MNT-1", "--data", str(installation)).stdout == "ended MNT-1\n"
    assert "over" in suture("maintenance", "list", "--data", str(installation)).stdout
    again = suture("maintenance", "end", "MNT-1", "--data", str(installation))
    assert (again.exit_code, "is over already" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [
        ("2099-01-01T05:00Z", "2099-01-01T06:00", "does not say in which zone; write 2099-01-01T06:00+01:00"),
        ("2099-01-01T05:00Z", "tomorrow", "is no ISO time; write for example"),
        ("2099-01-01T05:00Z", "2099-01-01T05:30+01:00", "is not after its start"),
        ("2019-01-01T05:00Z", "2019-01-01T06:00Z", "ended already"),
        ("2099-01-01T05:00Z", "9999-12-31T23:59:59-12:00", "lies outside of the calendar"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused(suture, installation, begins, ends, words):
    told = suture(
        "maintenance", "add", "--service", "shop", "--from", begins, "--to", ends, "--reason", "x",
        "--data", str(installation),
    )  # fmt: skip
    assert told.exit_code == 2
    assert words in told.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("execution", "show", "\udcff"),
        ("incident", "list", "--environment", "\udcff"),
        ("audit", "list", "--after", "9" * 20),
    ],
)
def test_what_no_database_can_take_is_one_line_and_exit_2(suture, installation, arguments):
    told = suture(*arguments, "--data", str(installation))
    assert told.exit_code == 2
    assert told.stderr.startswith("suture: ")
    assert told.stderr.count("\n") == 1


def test_a_database_that_fails_while_it_is_used_is_one_line_and_exit_1(suture, installation, stored):
    with stored() as state, state.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE executions")
    told = suture("execution", "list", "--data", str(installation))
    assert told.exit_code == 1
    assert "no such table: executions" in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_file_that_is_no_database_is_one_line_and_exit_1(suture, folder):
    folder.mkdir()
    (folder / "suture.db").write_bytes(b"no database at all" * 100)
    told = suture("kill-switch", "on", "--data", str(folder))
    assert told.exit_code == 1
    assert "file is not a database" in told.stderr
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize(("word", "status"), [("close", "closed"), ("resolve", "resolved"), ("escalate", "escalated")])
def test_a_person_ends_an_incident_and_what_waits_on_it(suture, installation, stored, monkeypatch, word, status):
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    told = suture("incident", word, "INC-1", "--reason", "the disk was full", "--data", str(installation))
    assert (told.exit_code, told.stdout.split(";")[0]) == (0, f"INC-1 is {status}")
    with stored() as state:
        incident = state.incidents.get("INC-1")
        assert state.executions.get("EXE-1").state == "cancelled"
    assert (incident.status, incident.timeline[-1].text) == (status, "the disk was full")
    assert incident.timeline[-1].data["by"] == "cli:ann"


def test_an_incident_is_not_ended_without_a_reason_nor_twice(suture, installation):
    data = ("--data", str(installation))
    assert suture("incident", "close", "INC-1", *data).exit_code == 2
    assert suture("incident", "close", "INC-1", "--reason", " ", *data).exit_code == 2
    assert suture("incident", "close", "INC-1", "--reason", "a false alarm", *data).exit_code == 0
    again = suture("incident", "resolve", "INC-1", "--reason", "x", *data)
    assert (again.exit_code, again.stderr) == (1, "suture: INC-1 is closed; it cannot become resolved\n")


def test_without_the_signing_key_of_the_installation_nothing_is_changed(suture, installation, stored):
    data, key = ("--data", str(installation)), installation / "signing.key"
    secret = key.read_text()
    key.unlink()
    for command in (("approve", "EXE-1"), ("kill-switch", "on")):
        told = suture(*command, *data)
        assert told.exit_code == 2
        assert "set SUTURE_SIGNING_KEY" in told.stderr
    assert suture("kill-switch", "status", *data).stdout == "the kill switch is off\n"
    key.write_text(secret)
    assert suture("audit", "verify", *data).exit_code == 0
    assert suture("approve", "EXE-1", *data).exit_code == 0


def test_a_silence_is_added_listed_shown_and_ended(suture, installation):
    data = ("--data", str(installation))
    made = suture("silence", "add", "service=mail", 'alertname=~"Disk.*"', "--for", "2h", "--reason", "known", *data)
    assert made.exit_code == 0, made.stderr
    assert made.stdout.startswith('SIL-1: service="mail", alertname=~"Disk.*" opens nothing')
    assert "holds" in suture("silence", "list", *data).stdout
    assert "0 signals held back" in suture("silence", "show", "SIL-1", *data).stdout
    assert suture("silence", "end", "SIL-1", *data).stdout == "ended SIL-1, which held 0 signals back\n"
    assert "over" in suture("silence", "list", *data).stdout
    assert suture("silence", "end", "SIL-1", *data).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("service=mail", "--reason", "x"), "either --to TIME or --for DURATION"),
        (("service=mail", "--reason", "x", "--for", "long"), "is not a duration"),
        (("mail", "--reason", "x", "--for", "1h"), "is no matcher"),
        (("service=mail", "--reason", "", "--for", "1h"), "--reason"),
    ],
)
def test_a_silence_that_cannot_be_meant_is_refused(suture, installation, arguments, words):
    told = suture("silence", "add", *arguments, "--data", str(installation))
    assert (told.exit_code, words in told.stderr) == (2, True), told.stderr


def test_incidents_are_merged_and_split_from_the_command_line(suture, stored):
    from models.domain.base import utc_now
    from models.domain.incident import Incident
    from models.domain.signal import Signal, SignalKind

    with stored() as state, state.database.write() as connection:
        now = utc_now()
        ids = [
            state.incidents.add(
                connection,
                Incident(
                    id="", title=name, services=(name,), started_at=now, detected_at=now, updated_at=now,
                    signals=(Signal(kind=SignalKind.ALERT, name="Down", at=now, labels={"service": name}),),
                ),
            ).id
            for name in ("mail", "shop")
        ]  # fmt: skip
        data = ("--data", str(state.settings.state_dir))
    merged = suture("incident", "merge", *ids, "--reason", "one cause", *data)
    assert merged.exit_code == 0, merged.stderr
    assert merged.stdout.startswith("INC-2 merged into INC-1, which has 2 services now")
    again = suture("incident", "merge", *ids, "--reason", "one cause", *data)
    assert (again.exit_code, "INC-2 is closed" in again.stderr) == (1, True)
    nothing = suture("incident", "split", "INC-1", "--reason", "two causes", *data)
    assert (nothing.exit_code, "say what to split off" in nothing.stderr) == (2, True)
    split = suture("incident", "split", "INC-1", "--service", "shop", "--reason", "two causes", *data)
    assert split.stdout.startswith("INC-3 was split off INC-1: shop")
    wrong = suture("incident", "split", "INC-1", "--service", "cart", "--reason", "x", *data)
    assert (wrong.exit_code, "has no service 'cart'; it has mail" in wrong.stderr) == (2, True)


def test_why_signals_are_in_an_incident_is_shown(suture, installation, stored):
    with stored() as state:
        data = {"signals": 2, "because": {"is connected to orders-db": 2}}
        state.incidents.record("INC-1", "signals", "Slow, Failing", data)
    told = suture("incident", "show", "INC-1", "--data", str(installation))
    assert "Slow, Failing (it is connected to orders-db)" in told.stdout
