"""How many customers come, and what they want: read by `loadgen` while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evals.sandbox.layout import Layout, replace_text


@dataclass(frozen=True)
class Load:
    """Requests a second on average, and the share of them that are checkouts; the others look at products."""

    rate: float
    checkout_share: float


LOADS = {"base": Load(30.0, 0.3), "peak": Load(70.0, 0.9)}
"""`peak` is a sale: more than twice the customers, and most of them buy. Their checkouts alone take all the time of one
worker."""


def set_load(layout: Layout, load: str | Load) -> None:
    """Let that many customers come from now on, within half a second: a name of LOADS, or any other load."""
    assert isinstance(load, Load) or load in LOADS
    replace_text(layout.load_file, load if isinstance(load, str) else f"{load.rate!r} {load.checkout_share!r}")


def read_load(file: Path) -> Load:
    """What the file asks for."""
    text = file.read_text()
    return LOADS[text] if text in LOADS else Load(*map(float, text.split()))
