"""docs/limits.md: every example of a setting is one, and the defaults that it names are the defaults."""

import re
from pathlib import Path

import yaml

from service.guard_settings import LimitSettings

PAGE = Path(__file__).parents[3] / "docs" / "limits.md"


def test_the_examples_are_settings():
    examples = [yaml.safe_load(each)["limits"] for each in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)]
    assert len(examples) == 7
    read = [LimitSettings.model_validate(each) for each in examples]
    assert read[0] == LimitSettings()
    assert {name for each in examples for name in each} == set(LimitSettings.model_fields)
