"""`suture check`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput
from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from service.settings import Settings
    from service.standing_checks.facts import Means
    from service.standing_checks.format import StandingCheck
    from service.standing_checks.measuring import Measurement

app = typer.Typer(help="Standing checks: limits, expiry and drift, measured on a schedule.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML of checks.")]


@app.command()
def lint(file: _File, as_json: AsJson = False) -> None:
    """Read and check a file of checks; exit 2 with file and line where it is wrong."""
    from models.domain.base import format_duration
    from service.cli.output import counted, note, print_json, print_table
    from service.standing_checks.format import load_checks

    checks = load_checks(file).checks
    if as_json:
        print_json(checks)
        return
    rows = [(one.id, format_duration(one.every), one.severity, one.service, one.when) for one in checks]
    print_table(("id", "every", "severity", "service", "violated when"), rows)
    note(f"{counted(len(checks), 'check')}, all of them valid")


@app.command("list")
def list_(as_json: AsJson = False, data: Data = None) -> None:
    """List the checks with what the running service found last."""
    from models.domain.base import utc_now
    from service.cli.output import note, print_json, print_table
    from service.cli.state import open_state
    from service.standing_checks.book import StandingBook

    with open_state(data) as state:
        found = StandingBook(_configured(state.settings), state.database, utc_now).status()
    if as_json:
        print_json(found)
        return
    rows = [
        (one.id, one.state, one.service, "-" if one.measured_at is None else f"{one.measured_at:%F %T}", one.seen)
        for one in found
    ]
    print_table(("id", "state", "service", "measured", "seen"), rows)
    for one in found:
        for violation in one.violations:
            note(f"{one.id}: {violation.text}")
        if one.problem is not None:
            note(f"{one.id}: not known: {one.problem}")


@app.command()
def run(
    identifiers: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Checks. [default: all of the file]")
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="[default: SUTURE_CHECKS]")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Measure now and open no incident; exit 1 where one is violated or not known."""
    from service.cli.output import print_json, print_table
    from service.settings import load_settings
    from service.standing_checks.measuring import measure
    from service.telemetry import configure_logging

    settings = load_settings(state_dir=data)
    configure_logging("warning", settings.log_format)
    checks = _named(file or _configured(settings), identifiers or [])
    with _means(settings) as means:
        found = [(one, measure(one, means)) for one in checks]
    if as_json:
        print_json([_plain(*each) for each in found])
    else:
        print_table(("id", "state", "what"), [row for each in found for row in _rows(*each)])
    raise typer.Exit(0 if all(_state(each) == "ok" for _, each in found) else 1)


def _configured(settings: Settings) -> Path:
    if settings.checks is None:
        raise BadInput("no checks are configured; name their file, see docs/checks.md", where="SUTURE_CHECKS")
    return settings.checks


def _named(file: Path, identifiers: list[str]) -> list[StandingCheck]:
    from service.standing_checks.format import load_checks

    checks = {one.id: one for one in load_checks(file).checks}
    for name in identifiers:
        if name not in checks:
            raise BadInput(f"there is no check {name!r}; there are {', '.join(checks) or 'none'}", where=str(file))
    return [checks[name] for name in identifiers] if identifiers else list(checks.values())


@contextmanager
def _means(settings: Settings) -> Iterator[Means]:
    """As a running service measures, with the same source; only the executor of SQL is made."""
    from models.domain.base import utc_now
    from service.ports import Context
    from service.registry import SOURCES, build, build_executors, sql_reader
    from service.security.secrets import resolve_secret
    from service.standing_checks.facts import Means
    from service.state_folder import make_state_folder, samples_url
    from service.store.samples import SampleStore
    from service.topology import load_topology

    make_state_folder(settings.state_dir)
    samples = SampleStore(
        samples_url(settings), retention=settings.retention, max_series=settings.max_series, clock=utc_now
    )
    try:
        context = Context(clock=utc_now, secret=resolve_secret, samples=samples)
        sections = {name: section for name, section in settings.executors.items() if name == "sql"}
        sql = sql_reader(build_executors(sections, context))
        yield Means(build(SOURCES, settings.source, context), load_topology(settings.topology), utc_now, sql)
    finally:
        samples.close()


def _state(found: Measurement) -> str:
    return "violated" if found.violations else "unknown" if found.problem is not None else "ok"


def _rows(one: StandingCheck, found: Measurement) -> Iterator[tuple[str, str, str]]:
    for violation in found.violations:
        yield one.id, "violated", violation.measured
    if found.problem is not None:
        yield one.id, "unknown", found.problem
    if not found.violations and found.problem is None:
        yield one.id, "ok", found.seen


def _plain(one: StandingCheck, found: Measurement) -> dict[str, object]:
    violations = [{"labels": each.labels, "value": each.value, "measured": each.measured} for each in found.violations]
    return {
        "id": one.id, "state": _state(found), "seen": found.seen, "problem": found.problem, "violations": violations,
        "more": found.more,
    }  # fmt: skip
