"""The files that docs/quickstart.md tells a reader to write are accepted as they stand there."""

import re
from pathlib import Path

import pytest

from runbooks.lint import lint
from runbooks.scaffold import scaffold
from service.guard.policy import load_policies
from service.registry import verb_catalogue
from service.settings import load_settings
from service.topology import load_topology

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quickstart.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    def load(text):
        (tmp_path / "suture.yaml").write_text(text)
        monkeypatch.setenv("SUTURE_CONFIG", str(tmp_path / "suture.yaml"))
        return load_settings()

    return load


def test_the_settings_and_the_topology(settings, tmp_path):
    first, topology, later, script, _ = blocks("yaml")
    read = settings(first)
    assert read.mode_of("staging") == "observe"
    assert [target.url for target in read.scrape] == ["http://127.0.0.1:8001/metrics"]
    without_modes = first.replace("modes: {staging: observe}", later)
    assert settings(without_modes).mode_of("staging") == "auto"
    (tmp_path / "topology.yaml").write_text(topology)
    assert load_topology(tmp_path / "topology.yaml").services["hello"].labels == {"process": "hello"}
    assert "restart-hello" in settings(script).executors["script"]["programs"]


def test_the_policy(tmp_path):
    (tmp_path / "staging.cedar").write_text(blocks("cedar")[0])
    names = ("restart-hello-in-staging", "people-approve-the-rest")
    assert load_policies(tmp_path, verb_catalogue()).names == names


def test_the_runbook_with_either_way_to_restart(tmp_path):
    book = tmp_path / "hello-down.md"
    text = scaffold("hello-down")
    book.write_text(text)
    assert lint([tmp_path], verb_catalogue()) == []
    given = re.sub(r"    uses: process/restart.*?\n    with: .*?\n", "", text, flags=re.DOTALL)
    given = re.sub(r"    (reversible|rollback): .*\n", "", given)
    changed = given.replace("    title: Restart the process\n", "    title: Restart the process\n" + blocks("yaml")[4])
    book.write_text(changed)
    assert lint([tmp_path], verb_catalogue()) == []
    assert "script/run" in changed
