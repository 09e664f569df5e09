"""docs/library.md says what the library has and what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks import LIBRARY
from runbooks.index import index_table, labels_of, named_by, optional_labels_of
from runbooks.loader import load_corpus

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "library.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runbooks():
    return load_corpus([LIBRARY]).runbooks


def test_the_table_is_the_librarys(runbooks):
    assert index_table(runbooks) in PAGE, "run `python -m runbooks.index` and put its table into docs/library.md"


def test_every_label_program_and_target_is_explained(runbooks):
    explained = PAGE.replace(index_table(runbooks), "")
    for runbook in runbooks:
        for name in (*labels_of(runbook), *optional_labels_of(runbook), *named_by(runbook)):
            assert f"`{name}`" in explained, f"{name}, of {runbook.id}"
