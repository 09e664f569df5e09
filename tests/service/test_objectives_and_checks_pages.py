"""What docs/slo.md, docs/checks.md and the examples show can be used as it stands."""

import re
from pathlib import Path

import pytest

from service.slo.file import load_objectives
from service.standing_checks.format import load_checks

ROOT = Path(__file__).parents[2]


def blocks(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


PAGES = [("slo.md", load_objectives, "slos"), ("checks.md", load_checks, "checks")]


@pytest.mark.parametrize(("page", "load", "top"), PAGES)
def test_the_files_of_the_page_can_be_used(tmp_path, page, load, top):
    found = [block for block in blocks(page) if "- id:" in block]
    assert found
    for block in found:
        file = tmp_path / "file.yaml"
        file.write_text(block if block.startswith(top) else f"{top}:\n{block}")
        assert getattr(load(file), top)


def test_the_examples_can_be_used():
    assert len(load_objectives(ROOT / "examples" / "slos.yaml").slos) == 3
    assert len(load_checks(ROOT / "examples" / "checks.yaml").checks) == 6
