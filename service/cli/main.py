"""`suture`: the entry point. Imports typer alone, so that `suture --help` answers at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from models.domain.errors import BadInput, SutureError
from service.cli import (
    approval,
    audit,
    autonomy,
    check,
    config,
    corpus,
    demo,
    detector,
    doctor,
    ending,
    evaluate,
    event,
    execution,
    incident,
    key,
    kill_switch,
    logs,
    maintenance,
    model,
    policy,
    recommend,
    regroup,
    replay,
    runbook,
    sandbox,
    serve,
    silence,
    simulate,
    slo,
    topology,
)


class Root(TyperGroup):
    """Turns errors that have words for a user into one line on standard error."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the options that stand before the command. Exits with 2 where they are wrong."""
        with _in_one_line():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Exits with 2 on bad input, with 1 on other errors of ours."""
        with _in_one_line():
            return super().invoke(ctx)


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except SutureError as error:
        _say(str(error))
        raise typer.Exit(2 if isinstance(error, BadInput) else 1) from error
    except UnicodeEncodeError as error:
        # What a shell passes that is not UTF-8 comes as half of a surrogate pair, which no database takes.
        if not any("\ud800" <= character <= "\udfff" for character in error.object):
            raise
        _say(f"{error.object!a} is not UTF-8 text; write it in UTF-8")
        raise typer.Exit(2) from error
    except typer.TyperException as error:
        if "\n" in error.message:  # the help, where the command line ends too early
            raise
        asked = getattr(getattr(error, "ctx", None), "command_path", "suture")
        words = error.format_message().replace("Value error, ", "").split(", unable to parse")[0]
        _say(f"{words.rstrip('.')}; see `{asked} --help`")
        raise typer.Exit(error.exit_code) from error


def _say(words: str) -> None:
    typer.echo(f"suture: {' '.join(words.split())}", err=True)


app = typer.Typer(
    name="suture",
    cls=Root,
    help="Closes incidents: detects, recommends with citations, acts behind a guard, verifies.\n\n"
    "`suture demo` shows it on real processes; docs/quickstart.md sets it up for a service of yours.",
    no_args_is_help=True,
    add_completion=False,
    # Rich reads `[default: …]` as markup and leaves it out; plain help also starts in half the time.
    rich_markup_mode=None,
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


incident.app.command("action-taken")(autonomy.action_taken)
incident.app.command()(detector.feedback)
for word in (ending.close, ending.resolve, ending.escalate):
    incident.app.command()(word)
incident.app.command()(regroup.merge)
incident.app.command()(regroup.split)
for command in (
    demo.demo,
    simulate.simulate,
    serve.serve,
    recommend.recommend,
    replay.replay,
    approval.approve,
    approval.reject,
    config.config,
    doctor.doctor,
):
    app.command()(command)
for name, group in (
    ("incident", incident.app),
    ("event", event.app),
    ("logs", logs.app),
    ("detector", detector.app),
    ("runbook", runbook.app),
    ("corpus", corpus.app),
    ("execution", execution.app),
    ("kill-switch", kill_switch.app),
    ("maintenance", maintenance.app),
    ("silence", silence.app),
    ("topology", topology.app),
    ("autonomy", autonomy.app),
    ("model", model.app),
    ("policy", policy.app),
    ("slo", slo.app),
    ("check", check.app),
    ("eval", evaluate.app),
    ("sandbox", sandbox.app),
    ("audit", audit.app),
    ("key", key.app),
):
    app.add_typer(group, name=name)


def run() -> None:
    """The `suture` command."""
    app()
