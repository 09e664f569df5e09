"""The programs that the sandbox lets `script/run` run: small files in its folder, each the door to a module."""

from __future__ import annotations

import shlex
import sys

from evals.sandbox.layout import Layout

SCRIPTS = {
    "shop-release": "evals.sandbox.shop_release",
    "shop-workers": "evals.sandbox.shop_workers",
    "db-volume": "evals.sandbox.db_volume",
    "db-free-connections": "evals.sandbox.db_free",
}
"""Module by program."""


def write_scripts(layout: Layout) -> None:
    """Write the programs; only the owner may change or run them."""
    for name, module in SCRIPTS.items():
        file = layout.script(name)
        command = shlex.join([sys.executable, "-m", module, str(layout.folder)])
        file.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        file.chmod(0o700)
