"""`suture serve`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.options import Data


class ServeRole(StrEnum):
    """Which of the work a process does."""

    ALL = "all"
    API = "api"
    DETECTOR = "detector"
    WORKER = "worker"


def serve(
    role: Annotated[ServeRole, typer.Option(help="Which of the work this process does.")] = ServeRole.ALL,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. [default: 8080]")] = None,
    data: Data = None,
) -> None:
    """Run the service: telemetry and signals in, incidents resolved."""
    from service.serving import serve as run_service
    from service.settings import load_settings
    from service.telemetry import configure_logging

    settings = load_settings(host=host, port=port, state_dir=data)
    configure_logging(settings.log_level, settings.log_format)
    run_service(settings, role)
