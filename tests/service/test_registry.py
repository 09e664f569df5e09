"""Adapters by name: what is installed is found, and what cannot be used is told in one line."""

import sys
from importlib.metadata import entry_points

import pytest

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.ports import Context
from service.registry import EMBEDDERS, ITSM, SOURCES, build, build_executors, verb_catalogue
from service.settings import Adapter

CONTEXT = Context(clock=utc_now, secret=lambda reference: reference)


@pytest.mark.parametrize(
    ("group", "kind", "installed"),
    [(SOURCES, "sources", "embedded"), (ITSM, "itsm", "webhook"), (EMBEDDERS, "embedders", "minilm")],
)
def test_an_unknown_name_lists_what_is_installed(group, kind, installed):
    with pytest.raises(BadInput, match=f"there is no 'nope' among the {kind}; installed are: .*{installed}"):
        build(group, Adapter(name="nope"), CONTEXT)


def test_an_unknown_executor_lists_what_is_installed():
    with pytest.raises(BadInput, match=r"there is no 'ssh' among the executors; installed are: .*ledger.*process"):
        build_executors({"ssh": {}}, CONTEXT)


def test_the_executor_of_another_package_is_found_by_its_entry_point(tmp_path):
    executors = build_executors({"ledger": {"file": str(tmp_path / "ledger")}}, CONTEXT)
    assert set(verb_catalogue(executors)) == {"ledger/write", "ledger/refuse", "ledger/doubt"}


def test_without_settings_the_verbs_of_all_that_is_installed_are_known():
    known = set(verb_catalogue())
    assert {"ledger/write", "process/restart", "script/run"} <= known
    assert len(known) >= len(entry_points(group="suture.executors"))


def test_a_package_that_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "broken-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[suture.sources]\nbroken = there_is_no_such_module:build\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with pytest.raises(BadInput, match=r"'broken' of the sources, from the package broken-plugin, cannot be loaded"):
        build(SOURCES, Adapter(name="broken"), CONTEXT)
