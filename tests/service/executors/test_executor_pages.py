"""What the pages of these executors show is what they take."""

import re
import sys
from importlib.metadata import entry_points
from pathlib import Path

import certifi
import pytest
import yaml

from service.executors.http import VERBS as HTTP
from service.executors.http_settings import HttpConfig
from service.executors.process import VERBS as PROCESS
from service.executors.process import ProcessConfig
from service.executors.script import VERBS as SCRIPT
from service.executors.script_settings import ScriptConfig

PAGES = Path(__file__).parents[3] / "docs" / "executors"


def blocks(name: str) -> list[dict]:
    text = (PAGES / f"{name}.md").read_text().replace("/etc/suture/internal-ca.pem", certifi.where())
    text = text.replace("{kind: systemd}", f"{{kind: systemd, command: {sys.executable}}}")  # systemctl may not be here
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


@pytest.mark.parametrize(
    ("name", "config", "verbs"),
    [("http", HttpConfig, HTTP), ("script", ScriptConfig, SCRIPT), ("process", ProcessConfig, PROCESS)],
)
def test_settings_and_actions_of_a_page_are_valid(name, config, verbs):
    settings, runbook = blocks(name)
    config.model_validate(settings["executors"][name])
    for action in runbook["actions"]:
        executor, verb = action["uses"].split("/")
        assert executor == name
        plain = yaml.safe_load(re.sub(r"\{\{ \w+ \}\}", "shop", yaml.safe_dump(action["with"])))
        verbs[verb].inputs.model_validate(plain)


def test_the_index_names_every_executor_with_all_its_verbs():
    index = (PAGES / "README.md").read_text()
    for point in entry_points(group="suture.executors"):
        if not point.value.startswith("service."):
            continue  # a plugin of the tests
        (row,) = re.findall(rf"^\| \[{point.name}\]\({point.name}\.md\) .*$", index, re.MULTILINE)
        for verb in point.load().verbs:
            assert f"`{verb}`" in row, f"{point.name}/{verb}"
