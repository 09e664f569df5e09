from __future__ import annotations

import pytest

from models.domain.incident import Culprit
from models.domain.runbook import Runbook
from models.domain.signal import Signal
from models.domain.topology import Topology
from runbooks.binding import bind
from runbooks.loader import load_runbook
from runbooks.triggers import matches, signal_variables

SIGNAL = {"kind": "alert", "name": "Down", "at": "2026-01-05T12:00:00Z"}


@pytest.fixture
def runbook(write, good) -> Runbook:
    return load_runbook(write("restart-it.md", good))


def test_a_candidate_has_everything_resolved(runbook, catalogue, incident, anomaly):
    signal = anomaly("up", "down", 0.0, service="shop", process="shop")
    binding = bind([runbook], incident(("shop",), {"process": "shop"}, signal), catalogue)
    (candidate,) = binding.candidates
    assert (candidate.service, candidate.uses, candidate.target) == ("shop", "process/restart", "process:shop")
    assert candidate.arguments == {"name": "shop", "server": "default"}
    assert candidate.parameters == {"service": "shop", "process": "shop"}
    assert candidate.preconditions[0].query == 'up{process="shop"}'
    assert candidate.verify[0].query == 'up{service="shop",process="shop"}'
    assert candidate.rollback is not None
    assert candidate.rollback.arguments == {"name": "shop", "server": "default"}
    assert [(match.runbook, match.signal) for match in binding.matched] == [("restart-it", signal.fingerprint)]
    assert binding.diagnoses[0].check.query == 'up{process="shop"}'
    assert (binding.dropped, binding.gaps) == ((), ())
    assert candidate.hash == bind([runbook], incident(("shop",), {"process": "shop"}), catalogue).candidates[0].hash


@pytest.mark.parametrize(
    "attack",
    [
        "shop; rm -rf /",
        "$(reboot)",
        "`id`",
        "shop && reboot",
        "shop\n",
        "shop\x00",
        "../shop",
        "shop --all",
        "{{ 7 * 7 }}",
        'shop"} or vector(1) #',
        "\u0455hop",  # the first letter is Cyrillic
        "sh\u200bop",
        # Full-width letters.
        "\uff53\uff48\uff4f\uff50",
        "s" * 2000,
        "all shop",
    ],
)
def test_hostile_label_values_drop_the_action_with_the_reason(runbook, catalogue, incident, anomaly, attack):
    signal = anomaly("up", "down", 0.0, service="shop", process=attack)
    binding = bind([runbook], incident(("shop",), {"process": attack}, signal), catalogue)
    assert binding.candidates == ()
    (dropped,) = binding.dropped
    assert dropped.reason.startswith("parameter process: ")
    assert len(dropped.reason) < 300
    assert binding.gaps


def test_the_title_of_an_incident_binds_nothing_without_a_pattern_that_accepts_it(catalogue, incident):
    runbook = Runbook.model_validate(
        {
            "id": "x",
            "title": "x",
            "parameters": {"name": {"from": "incident.title", "pattern": r"\w+"}},
            "actions": [
                {
                    "id": "a",
                    "title": "a",
                    "uses": "process/stop",
                    "with": {"name": "{{ name }}"},
                    "verify": [{"query": "up", "is": "== 1"}],
                }
            ],
        }
    )
    for title in ("postgres; now do it", "postgr\u0435s"):
        (dropped,) = bind([runbook], incident(("shop",), {}, title=title), catalogue).dropped
        assert "does not match" in dropped.reason
    assert len(bind([runbook], incident(("shop",), {}, title="postgres"), catalogue).candidates) == 1


def test_globs_choose_the_service_and_its_own_labels(runbook, catalogue, incident, anomaly):
    shop = anomaly("up", "down", 0.0, service="shop", process="shop")
    other = anomaly("x", "up", 9.0, service="web", process="nginx")
    # The culprit is not the runbook's: its labels must not name the process that is restarted.
    elsewhere = incident(("web", "shop"), {"process": "nginx"}, shop, other)
    (candidate,) = bind([runbook], elsewhere, catalogue).candidates
    assert (candidate.service, candidate.arguments["name"]) == ("shop", "shop")
    assert bind([runbook], incident(("web",), {"process": "nginx"}), catalogue).candidates == ()
    calm = anomaly("x", "up", 9.0, service="shop", process="shop")
    culprit_last = incident(
        ("shop", "orders-db"), {"process": "postgres"}, calm, culprits=(Culprit(service="orders-db", probability=0.8),)
    )
    (candidate,) = bind([runbook], culprit_last, catalogue).candidates
    assert (candidate.service, candidate.arguments["name"]) == ("orders-db", "postgres")
    # Two processes of one service share no process label, and nobody guesses.
    both = incident(
        ("web", "shop"), {"process": "nginx"}, shop, anomaly("y", "up", 1.0, service="shop", process="loadgen")
    )
    assert "process" in bind([runbook], both, catalogue).dropped[0].reason


def test_the_service_whose_signal_the_trigger_matched_is_acted_on(runbook, catalogue, incident, anomaly):
    down = anomaly("up", "down", 0.0, service="shop")
    found = incident(
        ("orders-db", "shop"), {"process": "postgres"}, down, culprits=(Culprit(service="orders-db", probability=0.8),)
    )
    assert "process" in bind([runbook], found, catalogue).dropped[0].reason
    topology = Topology.model_validate({"services": {"shop": {"labels": {"process": "shop"}}}})
    (candidate,) = bind([runbook], found, catalogue, topology=topology).candidates
    assert (candidate.service, candidate.arguments["name"]) == ("shop", "shop")


def test_unknown_verbs_and_invalid_arguments_are_dropped_in_words(runbook, catalogue, incident):
    shop = incident(("shop",), {"process": "shop"})
    only_stop = {"process/stop": catalogue["process/stop"]}
    assert "not offered by this installation" in bind([runbook], shop, only_stop).dropped[0].reason
    action = runbook.actions[0].model_copy(update={"arguments": {"name": "{{ process }}", "host": "x"}})
    wrong = runbook.model_copy(update={"actions": (action,)})
    assert "host" in bind([wrong], shop, catalogue).dropped[0].reason


@pytest.mark.parametrize(
    ("parameter", "labels", "value"),
    [
        ({"type": "integer", "from": "incident.labels.n", "maximum": 5}, {"n": "3"}, 3),
        ({"type": "integer", "from": "incident.labels.n", "maximum": 5}, {"n": "6"}, None),
        ({"type": "integer", "from": "incident.labels.n", "default": 2}, {}, 2),
        ({"type": "integer", "from": "incident.labels.n", "default": 2}, {"n": "many"}, None),
        ({"type": "integer", "from": "incident.labels.n"}, {"n": "3.5"}, None),
        ({"type": "integer", "from": "incident.labels.n"}, {"n": "٣"}, None),
        ({"type": "number", "from": "incident.labels.n"}, {"n": "0.25"}, 0.25),
        ({"type": "number", "from": "incident.labels.n"}, {"n": "nan"}, None),
        ({"type": "boolean", "from": "incident.labels.n"}, {"n": "true"}, True),
        ({"type": "boolean", "from": "incident.labels.n"}, {"n": "yes"}, None),
        ({"type": "string", "from": "incident.labels.n", "enum": ["eu", "us"]}, {"n": "eu"}, "eu"),
        ({"type": "string", "from": "incident.labels.n", "enum": ["eu", "us"]}, {"n": "cn"}, None),
        ({"type": "string", "from": "incident.culprit.service"}, {}, "shop"),
        ({"type": "string", "from": "incident.services[0]"}, {}, "shop"),
        ({"type": "string", "from": "incident.services"}, {}, None),
        ({"type": "string", "from": "incident.labels.n.m +"}, {"n": "x"}, None),
    ],
)
def test_parameters_are_typed_or_the_action_is_not_offered(catalogue, incident, parameter, labels, value):
    runbook = Runbook.model_validate(
        {
            "id": "x",
            "title": "x",
            "parameters": {"v": parameter},
            "actions": [
                {
                    "id": "a",
                    "title": "a",
                    "uses": "http/post",
                    "with": {"target": "t", "path": "/", "body": {"v": "{{ v }}"}},
                    "verify": [{"query": "up", "is": "== 1"}],
                }
            ],
        }
    )
    binding = bind([runbook], incident(("shop",), labels), catalogue)
    if value is None:
        assert binding.candidates == ()
        assert binding.dropped[0].reason.startswith("parameter v: ")
    else:
        found = binding.candidates[0].arguments["body"]["v"]
        assert (found, type(found)) == (value, type(value))


def test_a_value_cannot_become_an_option_of_a_program(catalogue, incident):
    runbook = Runbook.model_validate(
        {
            "id": "x",
            "title": "x",
            "parameters": {"v": {"from": "incident.labels.v", "pattern": "[a-z=/-]+"}},
            "actions": [
                {
                    "id": "a",
                    "title": "a",
                    "uses": "script/run",
                    "with": {"program": "scale-service", "args": ["--service", "{{ v }}"]},
                    "verify": [{"query": "up", "is": "== 1"}],
                }
            ],
        }
    )
    assert "option" in bind([runbook], incident(("shop",), {"v": "--config=/evil"}), catalogue).dropped[0].reason
    (candidate,) = bind([runbook], incident(("shop",), {"v": "shop"}), catalogue).candidates
    assert candidate.arguments == {"program": "scale-service", "args": ["--service", "shop"]}


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        ('signal.name == "Down"', True),
        ('signal.labels.absent == "x"', False),
        ("signal.value > 3", False),
        ('signal.labels.absent == "x" || signal.kind == "alert"', True),
        ("signal.name", False),
        ("signal.", False),
        ("1 / 0 == 1", False),
        ('signal.name.matches("(")', False),
        ("has(signal.metric)", False),
    ],
)
def test_a_trigger_never_fails_an_incident(trigger, expected):
    assert matches(trigger, signal_variables(Signal.model_validate(SIGNAL))) is expected
