"""`suture`: the entry point. Imports typer alone, so that `suture --help` answers at once."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from models.domain.errors import BadInput, SutureError
from service.cli import (
    approval,
    audit,
    config,
    demo,
    doctor,
    evaluate,
    execution,
    incident,
    key,
    kill_switch,
    recommend,
    runbook,
    sandbox,
    serve,
)


class Root(TyperGroup):
    """Turns errors that have words for a user into one line on standard error."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Exits with 2 on bad input, with 1 on other errors of ours."""
        try:
            return super().invoke(ctx)
        except SutureError as error:
            typer.echo(f"suture: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(2 if isinstance(error, BadInput) else 1) from error


app = typer.Typer(
    name="suture",
    cls=Root,
    help="Closes incidents: detects, recommends with citations, acts behind a guard, verifies.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables could show a secret.
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"suture {version('suture')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Documented by the app's help."""


for command in (
    demo.demo,
    serve.serve,
    recommend.recommend,
    approval.approve,
    approval.reject,
    config.config,
    doctor.doctor,
):
    app.command()(command)
for name, group in (
    ("incident", incident.app),
    ("runbook", runbook.app),
    ("execution", execution.app),
    ("kill-switch", kill_switch.app),
    ("eval", evaluate.app),
    ("sandbox", sandbox.app),
    ("audit", audit.app),
    ("key", key.app),
):
    app.add_typer(group, name=name)


def run() -> None:
    """The `suture` command."""
    app()
