"""What is wrong with settings, in words that name the setting and where it was read."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from models.domain.errors import BadInput
from service.yaml_input import YamlFile, spell, words_with_value

_EXAMPLES = {
    "scrape": '[{"url": "http://127.0.0.1:8000/metrics", "labels": {"service": "shop"}}]',
    "runbooks": '["team/runbooks"]',
    "modes": '{"production": "approve"}',
    "executors": '{"script": {"programs": {}}}',
    "detector": '{"name": "lockstep"}',
    "embedder": '{"name": "minilm"}',
    "source": '{"name": "embedded"}',
    "webhooks": '{"ci": {"secret": "env:CI_WEBHOOK_SECRET"}}',
    "ticketing": '{"name": "embedded"}',
}
"""JSON is YAML too: one example serves the environment and the file."""


def not_json(error: Exception, names: Collection[str]) -> BadInput:
    """A list or mapping in the environment that is not JSON. `names` are all settings, one of which `error` names."""
    name = next((name for name in names if f'"{name}"' in str(error)), "")
    return BadInput(f"must be JSON, for example {_EXAMPLES.get(name, '{}')}", where=f"SUTURE_{name.upper()}")


def not_valid(
    error: ValidationError, names: Collection[str], file: YamlFile | None, given: Collection[str]
) -> BadInput:
    """All that is wrong. `names` are all settings, `given` those of the command line."""
    return BadInput("; ".join(_explain(item, names, file, given) for item in error.errors()))


def _explain(item: Any, names: Collection[str], file: YamlFile | None, given: Collection[str]) -> str:
    place = item["loc"]
    origin = _origin(item, file, given)
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(place[0]), names, n=1) if len(place) == 1 else []
        guess = f" (did you mean {near[0]}?)" if near else ""
        return f"{origin}: there is no setting {spell(place)}{guess}; `suture config` lists all"
    wants_example = item["type"].endswith("_type") and len(place) == 1 and place[0] in _EXAMPLES
    example = f", for example {_EXAMPLES[place[0]]}" if wants_example else ""
    return f"{origin}: setting {spell(place)}: {words_with_value(item)}{example}"


def _origin(item: Any, file: YamlFile | None, given: Collection[str]) -> str:
    """The stronger source first, as the settings are read."""
    name = str(item["loc"][0])
    if name in given:
        return "the command line"
    variable = f"SUTURE_{name.upper()}"
    found = [key for key in os.environ if key.upper() == variable or key.upper().startswith(f"{variable}__")]
    if found or file is None:
        return found[0] if found else variable
    return file.where(item["loc"], key=item["type"] == "extra_forbidden")
