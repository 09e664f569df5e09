"""`suture config`: the effective settings, with where each came from and without secrets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from service.settings import Settings


def config(as_json: AsJson = False, data: Data = None) -> None:
    """Print the effective settings; secrets are masked, references to them are shown."""
    from service.cli.output import print_json, print_table
    from service.masking import masked
    from service.settings import load_settings

    settings = load_settings(state_dir=data)
    values = {name: masked(value, name) for name, value in settings.model_dump(mode="json").items()}
    origins = _origins(settings, on_command_line={"state_dir"} if data else set())
    if as_json:
        print_json({name: {"value": value, "from": origins[name]} for name, value in values.items()})
        return
    print_table(("setting", "from", "value"), [(name, origins[name], value) for name, value in values.items()])


def _origins(settings: Settings, on_command_line: set[str]) -> dict[str, str]:
    from service.settings import settings_file

    file = settings_file()
    origins = {}
    for name in type(settings).model_fields:
        variable = f"SUTURE_{name.upper()}"
        found = next(
            (key for key in os.environ if key.upper() == variable or key.upper().startswith(variable + "__")), ""
        )
        if name in on_command_line:
            origins[name] = "command line"
        else:
            origins[name] = found or (file.where((name,), key=True) if file and name in file.values else "default")
    return origins
