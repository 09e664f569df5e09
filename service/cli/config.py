"""`suture config`: the effective settings, with where each came from and without secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from service.settings import Settings

_MASK = "***"
_SECRET = re.compile(r"(secret|password|passwd|token|api_?key|credential|authorization)", re.IGNORECASE)
_REFERENCE = re.compile(r"(env|file|vault):")
_USER_INFO = re.compile(r"(://[^/@\s:]*):[^/@\s]+@")


def config(as_json: AsJson = False, data: Data = None) -> None:
    """Print the effective settings; secrets are masked, references to them are shown."""
    from service.cli.output import print_json, print_table
    from service.settings import load_settings

    settings = load_settings(state_dir=data)
    values = {name: masked(value, name) for name, value in settings.model_dump(mode="json").items()}
    origins = _origins(settings, on_command_line={"state_dir"} if data else set())
    if as_json:
        print_json({name: {"value": value, "from": origins[name]} for name, value in values.items()})
        return
    print_table(("setting", "from", "value"), [(name, origins[name], value) for name, value in values.items()])


def masked(value: Any, name: str = "") -> Any:
    """`value` with everything that looks like a secret replaced, at any depth."""
    if isinstance(value, dict):
        return {key: masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, name) for inner in value]
    if not isinstance(value, str):
        return value
    if _SECRET.search(name) and not _REFERENCE.match(value):
        return _MASK
    return _USER_INFO.sub(rf"\1:{_MASK}@", value)


def _origins(settings: Settings, on_command_line: set[str]) -> dict[str, str]:
    import yaml

    from service.settings import CONFIG_VARIABLE

    file = os.environ.get(CONFIG_VARIABLE)
    in_file = (yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}) if file else {}
    origins = {}
    for name in type(settings).model_fields:
        variable = f"SUTURE_{name.upper()}"
        found = next(
            (key for key in os.environ if key.upper() == variable or key.upper().startswith(variable + "__")), ""
        )
        if name in on_command_line:
            origins[name] = "command line"
        else:
            origins[name] = found or (str(file) if name in in_file else "default")
    return origins
