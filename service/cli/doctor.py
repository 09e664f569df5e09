"""`suture doctor`: looks at everything that an installation needs, and says what mends what is broken."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from service.cli.checkup import Finding

_SECONDS = Annotated[float, typer.Option(min=1, help="How long one check may take, in seconds.")]


def doctor(as_json: AsJson = False, timeout: _SECONDS = 20.0, data: Data = None) -> None:
    """Check this installation; exits with 1 where something is broken."""
    from service.cli.checkup import CHECKS, examine
    from service.cli.output import print_json
    from service.settings import load_settings
    from service.telemetry import configure_logging

    settings = load_settings(state_dir=data)
    configure_logging("error", settings.log_format)
    findings: list[Finding] = []
    for name, check in CHECKS:
        finding = examine(name, partial(check, settings), timeout)
        findings.append(finding)
        if not as_json:
            typer.echo(str(finding))
    if as_json:
        print_json([_plain(finding) for finding in findings])
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def _plain(finding: Finding) -> dict[str, Any]:
    return {"check": finding.check, "ok": finding.ok, "detail": finding.detail}
