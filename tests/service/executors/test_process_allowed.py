"""What may be done to a process, and by which name: everything else is refused and touches nothing."""

from datetime import timedelta

import pytest

from models.domain.errors import BadInput
from service.executors.process import ProcessExecutor
from service.executors.process_inputs import ProcessInputs
from service.ports import Call, Effect, ExecutorError
from tests.service.executors.process_parts import build, call, ensure_up, wait_for


@pytest.fixture(scope="module")
def executor(supervised) -> ProcessExecutor:
    return build(supervised.config, supervised.context)


def test_refusals_touch_nothing_and_carry_the_words_of_supervisor(executor):
    for name, words in (("private", "private is not allowed"), ("missing", "NO_FILE"), ("miss-spelt", "BAD_NAME")):
        with pytest.raises(ExecutorError, match=words) as caught:
            executor.act(call("start", name))
        assert not caught.value.retriable
        assert caught.value.effect is Effect.ABSENT
    with pytest.raises(ExecutorError, match=r"no supervisor 'east' is configured; there is default, tcp"):
        executor.act(call("start", "shop", server="east"))


@pytest.mark.parametrize("name", ["shop:", "shop:*", "*", "a:b:c", "shop\n", "", "shop;ls", "x" * 129, "-x", "--all"])
def test_names_that_mean_a_group_or_worse_are_refused(executor, name):
    with pytest.raises(ExecutorError, match="arguments do not fit: name") as caught:
        executor.act(call("stop", name))
    assert caught.value.effect is Effect.ABSENT


def test_the_same_process_has_one_target_however_it_is_spelt(executor):
    spellings = [{"name": "shop"}, {"name": "shop:shop"}, {"name": "shop", "server": "default"}]
    assert {executor.target("restart", each) for each in spellings} == {"process:shop"}
    assert executor.target("stop", {"name": "shop", "server": "tcp"}) == "process:tcp/shop"


class TestSignal:
    @pytest.fixture
    def signalling(self, supervised):
        return build({**supervised.config, "signals": {"count*": ["SIGUSR1", "TTIN"]}}, supervised.context)

    @staticmethod
    def signal(name: str, signal: str) -> Call:
        return Call("k1", "signal", {"name": name, "signal": signal}, timedelta(seconds=10))

    def test_an_allowed_signal_reaches_the_process(self, supervised, signalling):
        pid = ensure_up(signalling, "counts")
        log = supervised.socket.parent / "counted"
        wait_for(log, "up\n")
        assert "would send USR1 to process counts (RUNNING" in signalling.dry_run(self.signal("counts", "SIGUSR1"))
        outputs = [signalling.act(self.signal("counts", each)) for each in ("USR1", "SIGTTIN")]
        assert [(each["pid"], each["before_pid"], each["state"]) for each in outputs] == [(pid, pid, "RUNNING")] * 2
        wait_for(log, "up\nSIGUSR1\nSIGTTIN\n")
        assert signalling.observe(self.signal("counts", "USR1")) is Effect.UNKNOWN
        assert signalling.target("signal", self.signal("counts", "USR1").arguments) == "process:counts"

    @pytest.mark.parametrize(
        ("name", "signal", "words"),
        [
            ("counts", "KILL", "KILL is not allowed for process counts; add it to executors.process.signals"),
            ("shop", "USR1", "USR1 is not allowed for process shop"),
            ("private", "USR1", "private is not allowed"),
            ("counts", "9", "arguments do not fit: signal"),
            ("counts", "NONE", "there is no signal NONE"),
        ],
    )
    def test_others_are_refused(self, signalling, name, signal, words):
        with pytest.raises(ExecutorError, match=words) as caught:
            signalling.act(self.signal(name, signal))
        assert caught.value.effect is Effect.ABSENT

    def test_a_process_that_does_not_run_gets_none(self, signalling):
        signalling.act(call("stop", "counts"))
        with pytest.raises(ExecutorError, match="NOT_RUNNING") as caught:
            signalling.act(self.signal("counts", "USR1"))
        assert caught.value.effect is Effect.ABSENT


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "servers: is missing"),
        ({"servers": {"default": {"url": "unix:///s"}}}, "allow: is missing"),
        ({"servers": {"default": {"url": "ftp://x"}}, "allow": ["*"]}, r"servers\.default\.url: "),
        ({"servers": {"default": {"url": "http://u:p@x"}}, "allow": ["*"]}, r"servers\.default\.url: "),
        ({"servers": {"default": {"url": "unix:///s", "username": "env:U"}}, "allow": ["*"]}, "default: .*go together"),
        ({"servers": {"default": {"url": "unix:///s"}}, "allow": ["*"], "alow": 1}, "alow: there is no such key"),
        ({"servers": {"default": {"kind": "upstart"}}, "allow": ["*"]}, r"servers\.default: "),
        (
            {"servers": {"default": {"kind": "systemd", "command": "systemctl"}}, "allow": ["*"]},
            r"servers\.default\.command: must be the absolute path",
        ),
        ({"servers": {"default": {"url": "unix:///s"}}, "allow": ["*"], "signals": {"*": ["NONE"]}}, "no signal NONE"),
        ({"servers": {"default": "unix:///s"}, "allow": ["*"]}, r"servers\.default: must be a mapping with a url"),
        ({"servers": {"default": None}, "allow": ["*"]}, r"servers\.default: must be a mapping with a url"),
        ({"servers": {"default": {"kind": "launchd"}}, "allow": ["*"]}, "or with kind: systemd"),
        (
            {"servers": {"d": {"url": "unix:///s", "username": "plain", "password": "hunter2"}}, "allow": ["*"]},
            "given by reference",
        ),
    ],
)
def test_wrong_settings_name_their_key_and_show_no_secret(supervised, config, words):
    with pytest.raises(BadInput, match=words) as caught:
        build(config, supervised.context)
    assert "hunter2" not in str(caught.value)


def test_verbs_declare_what_a_crash_needs(executor):
    declared = {name: (verb.idempotent, verb.observable) for name, verb in executor.verbs.items()}
    expected = {"restart": (False, True), "start": (True, True), "stop": (True, True), "signal": (False, False)}
    assert declared == expected
    assert executor.verbs["restart"].inputs is ProcessInputs
