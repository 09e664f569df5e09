"""The examples of docs/executors/kubernetes.md are taken at their word."""

import json
import re
from pathlib import Path

import pytest
import yaml

from service.executors.kubernetes import KubernetesExecutor
from service.executors.kubernetes_settings import KubernetesConfig

PAGE = (Path(__file__).parents[4] / "docs" / "executors" / "kubernetes.md").read_text()
BLOCKS = [
    yaml.safe_load(re.sub(r"{{ \w+ }}", "web", text)) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]
ACTIONS = next(block["actions"] for block in BLOCKS if "actions" in block)


def test_the_settings_are_valid():
    (section,) = (block["executors"]["kubernetes"] for block in BLOCKS if "executors" in block)
    assert set(KubernetesConfig.model_validate(section).clusters) == {"default", "here"}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action["id"])
def test_the_arguments_of_each_action_are_valid(action):
    for step in (action, action.get("rollback")):
        if step is not None:
            verb = KubernetesExecutor.verbs[step["uses"].removeprefix("kubernetes/")]
            assert json.loads(verb.inputs(**step["with"]).model_dump_json())["name"]


def test_each_verb_has_an_example_and_a_row():
    used = {step["uses"] for action in ACTIONS for step in (action, action.get("rollback")) if step}
    assert used == {f"kubernetes/{verb}" for verb in KubernetesExecutor.verbs}
    assert all(f"`{uses}`" in PAGE for uses in used)
