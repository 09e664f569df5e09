"""`suture replay`: past incidents through the whole flow in shadow; nothing is executed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.domain.errors import BadInput
from service.cli.labelled import Books, MapFile
from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from evals.replay.run import Asked
    from models.domain.execution import Mode
    from service.cli.state import State
    from service.ports import SampleReader
    from service.settings import Settings

_WORDS = {
    "acted": "acts",
    "asked": "asks",
    "suggested": "tells",
    "forbidden": "forbidden",
    "held": "not started",
    "abstained": "abstains",
}
_JUDGED = {True: "right", False: "wrong", None: "not known"}


def replay(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Labelled incidents as JSONL, or with --map an export."),
    ] = None,
    runbooks: Books = None,
    map_file: MapFile = None,
    policies: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of Cedar files, in place of the configured ones.")
    ] = None,
    mode: Annotated[str | None, typer.Option(metavar="MODE", help="As if every environment were in that mode.")] = None,
    levels: Annotated[
        str,
        typer.Option(
            metavar="LEVELS",
            help="earned: actions earn their level on the way; now: as they are in --data; or a level, for all alike.",
        ),
    ] = "earned",
    assume_preconditions: Annotated[
        bool, typer.Option(help="Take preconditions of which nothing was recorded to have held.")
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Tell what Suture would have done by itself, asked for, or left, on incidents of the past.

    FILE has labelled incidents; with --data and without FILE the incidents that this installation recorded.
    """
    from service.cli.output import note, print_json

    if (file is None) == (data is None):
        raise BadInput("name either a FILE of labelled incidents, or an installation with --data")
    told = _of_file(file, runbooks, map_file, policies, mode, levels, assume_preconditions) if file else None
    if told is None:
        told = _of_installation(data, runbooks, policies, mode, levels, assume_preconditions)
    if as_json:
        print_json(told)
        return
    _print(told)
    if told["would_have"]["acted"] == 0 and "auto" not in told["supposed"]["modes"].values():
        note("no environment is in mode auto, so nothing runs by itself: --mode auto shows what would")


def _of_file(
    file: Path,
    runbooks: list[Path] | None,
    map_file: Path | None,
    policies: Path | None,
    mode: str | None,
    levels: str,
    assume: bool,
) -> dict[str, Any]:
    from tempfile import TemporaryDirectory

    from evals.replay.run import replay_rows
    from service.cli.labelled import labelled_rows, settings_for

    if levels == "now":
        raise BadInput("the levels of now are those of an installation: they go with --data", where="--levels")
    asked = _asked(levels, assume)
    rows = labelled_rows(file, map_file)
    with TemporaryDirectory(prefix="suture-") as state:
        settings = _supposing(settings_for(file, runbooks, None, Path(state)), policies, mode)
        return replay_rows(rows, settings, asked)


def _of_installation(
    data: Path | None, runbooks: list[Path] | None, policies: Path | None, mode: str | None, levels: str, assume: bool
) -> dict[str, Any]:
    from dataclasses import replace

    from evals.replay.run import Installation, replay_own
    from models.domain.base import utc_now
    from service.cli.autonomy import levels_of
    from service.cli.state import open_state
    from service.ports import Context
    from service.registry import SOURCES, build
    from service.security.secrets import resolve_secret

    asked = _asked(levels, assume)
    with open_state(data) as state:
        settings = _supposing(state.settings, policies, mode)
        if runbooks:
            settings = settings.model_copy(update={"runbooks": tuple(runbooks)})
        samples = _samples(state)
        context = Context(clock=utc_now, secret=resolve_secret, database=state.database.engine, samples=samples)
        installation = Installation(
            state.incidents,
            state.executions,
            state.recommendations,
            state.executions,
            build(SOURCES, settings.source, context),
            samples if settings.source.name == "embedded" else None,
        )
        if levels == "now":
            asked = replace(asked, present=levels_of(state))
        return replay_own(installation, settings, asked)


def _asked(levels: str, assume: bool) -> Asked:
    from evals.replay.run import Asked

    level = None if levels in ("earned", "now") else _mode(levels, "--levels", "earned, now, ")
    return Asked(level=level, assume_preconditions=assume)


def _supposing(settings: Settings, policies: Path | None, mode: str | None) -> Settings:
    changes: dict[str, Any] = {"model": None}
    if policies is not None:
        changes["policies"] = policies
    if mode is not None:
        changes |= {"mode": _mode(mode, "--mode"), "modes": {}}
    return settings.model_copy(update=changes)


def _mode(text: str, where: str, others: str = "") -> Mode:
    from models.domain.execution import Mode

    if text not in set(Mode):
        raise BadInput(f"{text!r} is not one of {others}{', '.join(Mode)}", where=where)
    return Mode(text)


def _samples(state: State) -> SampleReader:
    """The embedded samples; none where the file is not there, which is not made."""
    from models.domain.base import utc_now
    from service.store.samples import SampleStore

    settings, url = state.settings, state.settings.database
    if settings.database_url is None:
        file = (settings.state_dir / "samples.db").resolve()
        if not file.is_file():
            return _NoSamples()
        url = f"sqlite:///{file}"
    return SampleStore(url, retention=settings.retention, max_series=settings.max_series, clock=utc_now)


class _NoSamples:
    def select(self, *_: Any, **__: Any) -> list[Any]:
        return []


def _print(told: dict[str, Any]) -> None:
    from service.cli.output import note, print_table

    columns = ("incident", "suture", "action", "probability", "was it right", "why")
    print_table(columns, [_row(one) for one in told["rows"]])
    for one in told["changes"]:
        note(f"{one['incident']}: {one['change']}")
    supposed = told["supposed"]
    modes = ", ".join(f"{name} {mode}" for name, mode in supposed["modes"].items())
    note(
        f"supposed: modes {modes}; levels {supposed['levels']}; a precondition of which nothing was recorded: "
        f"{supposed['preconditions_not_recorded']}"
    )
    typer.echo(told["summary"])


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    who = one["approver_role"] or " or ".join(one["approvers"])
    does = f"asks {one['approvals_needed']} {who}" if one["would_have"] == "asked" else _WORDS[one["would_have"]]
    probability = "-" if one["probability"] is None else f"{one['probability']:.2f}"
    return (one["incident"], does, one["action"] or "-", probability, _JUDGED[one["right"]], one["reason"][:160])
