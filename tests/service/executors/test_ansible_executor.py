"""Real playbooks through the real ansible-runner, on hosts that are this machine (connection local)."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.ansible import AnsibleExecutor
from service.executors.ansible_run import Ran, Request, run_playbook
from service.ports import Call, Context, Effect, ExecutorError

pytest.importorskip("ansible_runner")

NOTE = {"path": "{{ folder }}/note", "line": "{{ text }}", "create": True, "mode": "0600"}
FAIL = {"name": "Give up", "ansible.builtin.fail": {"msg": "it is beyond repair, {{ token | default('') }}"}}
SLEEP = {"name": "Sleep", "ansible.builtin.command": {"argv": ["sleep", "600"]}}
PLAYBOOKS: dict[str, list[dict]] = {
    "note": [{"name": "Write the note", "ansible.builtin.lineinfile": NOTE}],
    "was-noted": [{"name": "Look", "ansible.builtin.command": {"argv": ["test", "-e", "{{ folder }}/note"]}}],
    "fails-clean": [FAIL],
    "fails-at-length": [{"name": "Give up", "ansible.builtin.fail": {"msg": "{{ 'x' * 390 }} {{ token }}"}}],
    "ends-the-service": [
        {"name": "End it", "ansible.builtin.command": {"argv": ["kill", "-9", "{{ text }}"]}},
        {"name": "Write the note", "ansible.builtin.lineinfile": NOTE},
    ],
    "fails-dirty": [{"name": "Write the note", "ansible.builtin.lineinfile": NOTE}, FAIL],
    "fails-halfway": [{"name": "Half", "ansible.builtin.shell": {"cmd": "touch {{ folder }}/half; exit 3"}}],
    "sleeps": [SLEEP],
    "notes-late": [
        {"name": "Wait", "ansible.builtin.command": {"argv": ["sleep", "3"]}},
        {"name": "Write the note", "ansible.builtin.lineinfile": NOTE},
    ],
    "command": [{"name": "Touch", "ansible.builtin.command": {"argv": ["touch", "{{ folder }}/touched"]}}],
    "environment": [
        {
            "name": "Show",
            "ansible.builtin.shell": {"cmd": "env > {{ folder }}/env; cat /proc/$PPID/cmdline >> {{ folder }}/env"},
        }
    ],
    "floods": [
        {"name": "Flood", "ansible.builtin.command": {"argv": ["seq", "30000"]}, "loop": [1, 2, 3, 4]},
        SLEEP,
    ],
}


class World:
    """A project with its inventory, and an executor that may run all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        for name, tasks in PLAYBOOKS.items():
            play = {"hosts": "all", "gather_facts": False, "tasks": tasks}
            (self.project / f"{name}.yml").write_text(yaml.safe_dump([play]))
        elsewhere = {"hosts": "nobody", "gather_facts": False, "tasks": [FAIL]}
        (self.project / "elsewhere.yml").write_text(yaml.safe_dump([elsewhere]))
        (self.project / "broken.yml").write_text("- hosts: all\n  tasks: [{no_such_module_at_all: {}}]\n")
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(folder / "remote"),  # a run that is killed leaves what it copied there
        }
        far = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
        hosts = {"web-1": local, "web-2": local, "far": far}
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": {"nobody": {}}}}))

    def config(self, **playbook) -> dict:
        variables = {
            "folder": {"pattern": "/.*", "default": str(self.folder)},
            "text": {"pattern": ".*", "default": "hello"},
        }
        one = {"hosts": ["web-1", "web-2", "far"], "variables": variables} | playbook
        names = [*PLAYBOOKS, "elsewhere", "broken"]
        books = {name: {**one, "file": f"{name}.yml"} for name in names}
        books["note"] |= {"check_observes": True}
        books["command"] |= {"check_observes": True}
        books["fails-dirty"] |= {"observe": "was-noted.yml"}
        books["notes-late"] |= {"observe": "was-noted.yml"}
        books["ends-the-service"] |= {"idempotent": True}
        books["fails-clean"] |= {"idempotent": True}
        return {
            "project": str(self.project),
            "inventory": str(self.inventory),
            "playbooks": books,
            "env": ["WANTED"],
            "artifact_limit": 1_500_000,
        }

    def executor(self, **playbook) -> AnsibleExecutor:
        context = Context(clock=utc_now, secret=lambda reference: f"s3cret-{reference}")
        return AnsibleExecutor.build(self.config(**playbook), context)


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return World(tmp_path)


def call(playbook: str, *hosts: str, timeout: float = 60, **variables) -> Call:
    arguments = {"playbook": playbook, "limit": list(hosts or ["web-1"]), "variables": variables}
    return Call(f"exec-{os.getpid()}:act", "run", arguments, timedelta(seconds=timeout))


def fails(executor: AnsibleExecutor, one: Call, words: str) -> ExecutorError:
    with pytest.raises(ExecutorError, match=words) as caught:
        executor.act(one)
    return caught.value


@contextmanager
def equal_runs_made_once(monkeypatch) -> Iterator[None]:
    """Of runs in check mode that differ in nothing but key and cancelling, one is made: each takes seconds."""
    made: dict[str, Ran] = {}

    def run(request: Request) -> Ran:
        assert request.check
        same = repr(replace(request, key="", cancelled=bool))
        if same not in made:
            made[same] = run_playbook(request)
        return made[same]

    with monkeypatch.context() as patched:
        patched.setattr("service.executors.ansible.run_playbook", run)
        yield
    assert len(made) == 1, "they were to be equal"


def wait_for_the_sleep(attempt: Future) -> None:
    """Until the run of this test is at the task that sleeps."""
    while not any(line.startswith("sleep\0") for line in left_running()):
        assert not attempt.done(), attempt.exception()
        time.sleep(0.1)  # a look at all processes costs as much as the run itself


def left_running() -> list[str]:
    """Command lines of processes of this test's runs."""
    wanted = f"SUTURE_IDEMPOTENCY_KEY=exec-{os.getpid()}:act".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_dry_run_then_act_then_observe(world, monkeypatch):
    executor, one = world.executor(), call("note", "web-1", text="{{ lookup('env', 'HOME') }} ü")
    with equal_runs_made_once(monkeypatch):
        words = executor.dry_run(one)
        assert executor.observe(one) is Effect.ABSENT
    assert "would run note on web-1; 1 tasks would change something\nweb-1: Write the note" in words
    assert "+{{ lookup('env', 'HOME') }} ü" in words
    assert not (world.folder / "note").exists()
    assert executor.act(one) == {
        "hosts": {"web-1": {"ok": 1, "changed": 1, "failed": 0, "unreachable": 0}},
        "changed": ("web-1: Write the note",),
    }
    # A value of an incident is data: it was not read as a template.
    assert (world.folder / "note").read_text() == "{{ lookup('env', 'HOME') }} ü\n"
    assert executor.observe(one) is Effect.HAPPENED
    assert not list(world.folder.glob("suture-*"))


def test_a_failure_that_changed_nothing_did_not_happen(world):
    executor = world.executor(secrets={"token": "env:TOKEN"})
    error = fails(executor, call("fails-clean"), r"Give up: it is beyond repair, \*\*\*")
    assert (error.effect, error.retriable) == (Effect.ABSENT, False)
    assert "s3cret" not in str(error)
    with pytest.raises(ExecutorError, match=r"check mode of fails-clean: web-1: Give up.*\*\*\*"):
        executor.dry_run(call("fails-clean"))


def test_half_a_secret_is_kept_out_of_words_that_are_cut(world):
    error = fails(world.executor(secrets={"token": "env:TOKEN"}), call("fails-at-length"), r"xxx \*\*\*")
    assert "s3c" not in str(error)


def test_a_secret_that_can_be_read_no_more_after_the_run_does_not_undo_it(world):
    read = []

    def secret(reference: str) -> str:
        read.append(reference)
        if len(read) > 2:  # at the start, and for the run
            raise BadInput("it is gone")
        return "s3cret"

    config = world.config(secrets={"token": "env:TOKEN"})
    config["playbooks"] = {"note": config["playbooks"]["note"]}
    executor = AnsibleExecutor.build(config, Context(clock=utc_now, secret=secret))
    assert executor.act(call("note"))["changed"] == ("web-1: Write the note",)


SERVICE = """
import json, os, sys
from datetime import timedelta
from models.domain.base import utc_now
from service.executors.ansible import AnsibleExecutor
from service.ports import Call, Context
config, key = json.load(sys.stdin)
arguments = {"playbook": "ends-the-service", "limit": ["web-1"], "variables": {"text": str(os.getpid())}}
executor = AnsibleExecutor.build(config, Context(clock=utc_now, secret=lambda reference: "s3cret"))
executor.act(Call(key, "run", arguments, timedelta(seconds=60)))
"""


def test_the_secrets_of_a_run_whose_service_was_killed_are_removed_when_it_is_asked_for(world):
    config, one = world.config(secrets={"token": "env:TOKEN"}), call("ends-the-service", text="0")
    environment = {**os.environ, "TMPDIR": str(world.folder)}
    killed = subprocess.run(
        [sys.executable, "-c", SERVICE], input=json.dumps([config, one.key]), text=True, env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    (left,) = world.folder.glob("suture-*/env/extravars")
    assert "s3cret" in left.read_text()
    assert left.stat().st_mode & 0o777 == 0o600
    assert world.executor().observe(one) is Effect.REPEATABLE
    assert (world.folder / "note").exists(), "the run went on, and was waited for"
    assert not list(world.folder.glob("suture-*"))


def test_a_failure_after_a_change_is_not_known_and_the_second_playbook_knows(world):
    executor, one = world.executor(), call("fails-dirty", "web-1")
    assert executor.observe(one) is Effect.ABSENT
    error = fails(executor, one, "beyond repair")
    assert (error.effect, error.retriable) == (Effect.UNKNOWN, False)
    assert executor.observe(replace(one, cancelled=lambda: True)) is Effect.HAPPENED


def test_a_task_that_failed_halfway_may_have_changed_something(world):
    assert fails(world.executor(), call("fails-halfway"), "non-zero return code").effect is Effect.UNKNOWN
    assert (world.folder / "half").exists()


def test_a_host_that_is_not_reached_is_worth_a_retry_only_when_nothing_changed(world):
    executor = world.executor()
    error = fails(executor, call("note", "far"), "not reached: far: Write the note")
    assert (error.effect, error.retriable) == (Effect.ABSENT, True)
    error = fails(executor, call("note", "far", "web-1"), "not reached: far")
    assert (error.effect, error.retriable) == (Effect.UNKNOWN, False)


def test_a_playbook_that_cannot_start_changed_nothing(world):
    assert fails(world.executor(), call("broken"), "no_such_module_at_all").effect is Effect.ABSENT
    assert fails(world.executor(), call("elsewhere"), "no host of the limit").effect is Effect.ABSENT


def test_what_check_mode_leaves_out_is_not_taken_for_done(world, monkeypatch):
    executor = world.executor()
    with equal_runs_made_once(monkeypatch):
        assert executor.observe(call("command")) is Effect.UNKNOWN
        assert "not known in check mode: web-1: Touch" in executor.dry_run(call("command"))
    assert not (world.folder / "touched").exists()


@pytest.mark.parametrize("by", ["time", "person"])
def test_a_run_that_is_ended_leaves_no_process(world, by, monkeypatch):
    asked, later = threading.Event(), [0.0]
    # The time is over once the run is where it sleeps, however long it took to get there.
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later[0], sleep=time.sleep)
    monkeypatch.setattr("service.executors.bounded.time", clock)
    one = replace(call("sleeps"), cancelled=asked.is_set)
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(world.executor().act, one)
        wait_for_the_sleep(attempt)
        if by == "person":
            asked.set()
        else:
            later[0] = 60.0
        error = attempt.exception(timeout=60)
    assert isinstance(error, ExecutorError)
    assert ("ended after 1m" if by == "time" else "cancelled by a person") in str(error)
    assert error.effect is Effect.UNKNOWN
    assert left_running() == []
    assert not list(world.folder.glob("suture-*"))


def test_a_run_that_outlived_the_service_is_waited_for_before_anyone_asks(world):
    # As after a crash: the run goes on, and whoever comes next knows only the call.
    one = call("notes-late")
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(world.executor().act, one)
        wait_for_the_sleep(attempt)
        assert world.executor().observe(replace(one, timeout=timedelta(seconds=0.5))) is Effect.UNKNOWN
        assert world.executor().observe(one) is Effect.HAPPENED
        # Who observed has removed the run's folder, perhaps before the attempt read how it went.
        wait([attempt])
    assert (world.folder / "note").read_text() == "hello\n"


def test_a_run_that_writes_too_much_down_is_ended(world):
    assert fails(world.executor(), call("floods"), "more than 1500000 bytes").effect is Effect.UNKNOWN
    assert left_running() == []


def test_the_environment_holds_what_is_listed_and_variables_are_on_no_command_line(world, monkeypatch):
    monkeypatch.setenv("WANTED", "yes")
    monkeypatch.setenv("HIDDEN", "no")
    monkeypatch.setenv("ANSIBLE_STRATEGY", "hidden-too")
    world.executor(secrets={"token": "env:TOKEN"}).act(call("environment", text="a-value"))
    text = (world.folder / "env").read_text()
    assert "WANTED=yes" in text
    assert "SUTURE_IDEMPOTENCY_KEY=exec-" in text
    assert "HIDDEN" not in text
    assert "hidden-too" not in text
    assert "a-value" not in text
    assert "s3cret" not in text


def test_without_a_declaration_nobody_can_tell_and_idempotent_ones_run_again(world):
    executor = world.executor()
    assert executor.observe(call("sleeps")) is Effect.UNKNOWN
    assert executor.observe(call("fails-clean")) is Effect.REPEATABLE


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (call("reboot-all"), "playbook reboot-all is not allowed"),
        (call("note", "db-1"), "note may not run on db-1"),
        (call("note", "all"), "note may not run on all"),
        (call("note", "web-1:far"), "arguments do not fit"),
        (call("note", "!web-1"), "arguments do not fit"),
        (call("note", "@/etc/hosts"), "arguments do not fit"),
        (call("note", folder="relative"), "variable folder does not match its pattern"),
        (call("note", text="two\nlines"), "variable text does not match"),
        (call("note", ansible_connection="ssh"), "there is no variable ansible_connection"),
        (call("note", text=1), "variable text is not of type string"),
        (replace(call("note"), verb="adhoc"), "there is no ansible/adhoc"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_runs(world, one, words):
    executor = world.executor()
    for refusing in (executor.dry_run, executor.snapshot, executor.act):
        with pytest.raises(ExecutorError, match=words) as caught:
            refusing(one)
        assert caught.value.effect is Effect.ABSENT
    assert not (world.folder / "note").exists()


def test_a_playbook_that_became_a_way_out_or_anybodys_is_refused(world):
    executor, file = world.executor(), world.project / "note.yml"
    file.chmod(0o666)
    fails(executor, call("note"), "can be written by everybody")
    outside = world.folder / "outside.yml"
    file.rename(outside)
    fails(executor, call("note"), "is not a file")
    file.symlink_to(outside)
    fails(executor, call("note"), "leads out of the project")


def test_one_target_a_playbook():
    whole = AnsibleExecutor.target("run", {"playbook": "note"})
    assert whole == AnsibleExecutor.target("run", call("note", "web-2").arguments) == "ansible:note"


@pytest.mark.parametrize(
    ("playbook", "words"),
    [
        ({"file": "/etc/x.yml"}, "within the project"),
        ({"file": "../x.yml"}, "within the project"),
        ({"file": "missing.yml"}, "is not a file"),
        ({"hosts": []}, "hosts"),
        ({"hosts": ["web*"]}, "hosts"),
        ({"observe": "note.yml", "check_observes": True}, "exclude each other"),
        ({"variables": {"text": {}}}, "a string needs a pattern"),
        ({"variables": {"ansible-x": {"type": "integer"}}}, "ansible-x"),
        ({"variables": {"x": {"type": "integer"}}, "secrets": {"x": "env:X"}}, "is a variable and a secret"),
    ],
)
def test_a_wrong_section_stops_the_start(world, playbook, words):
    section = world.config()
    section["playbooks"] = {"one": {"file": "note.yml", "hosts": ["web-1"]} | playbook}
    with pytest.raises(BadInput, match=words):
        AnsibleExecutor.build(section, Context(clock=utc_now, secret=lambda reference: reference))


def test_where_ansible_is_missing_the_extra_is_named(world, monkeypatch):
    monkeypatch.setattr("service.executors.ansible.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'suture\[ansible\]'"):
        world.executor()
