"""`suture detector`, and `suture incident feedback`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import AsJson, Data, Limit

if TYPE_CHECKING:
    from models.detection.feedback import Explanation
    from service.cli.state import State
    from service.detector_view import DetectorView, SeriesExplanation
    from service.store.feedback import ClassTolerance, Feedbacks

app = typer.Typer(help="What the detector knows, and what it was told.", no_args_is_help=True)


@app.command()
def status(as_json: AsJson = False, data: Data = None) -> None:
    """Show how full the detector is, and the feedback in force; as it saved itself last."""
    from service.cli.output import print_json
    from service.cli.parsing import shown_instant
    from service.cli.state import open_state

    with open_state(data) as state, _view(state) as view:
        found = view.status()
    if as_json:
        print_json(found)
        return
    told = found.summary
    typer.echo(f"{found.name}, as of {shown_instant(found.as_of)}: {told.series} series of at most {told.max_series}")
    if found.full:
        typer.echo("it is full: further series are not scored; raise detector.config.max_series")
    typer.echo(f"{told.reported} anomalies now, {told.warming_up} series in their warm-up")
    for each in found.feedback:
        typer.echo(_tolerance(each))


@app.command()
def explain(
    series: Annotated[str, typer.Argument(metavar="SERIES", help="A selector: 'pg_up{service=\"orders-db\"}'.")],
    limit: Limit = 50,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show what is expected of series, what was observed, what speaks, and the feedback in force."""
    from service.cli.output import print_json
    from service.cli.state import open_state

    with open_state(data) as state, _view(state) as view:
        found = view.explain(series, limit)
    if as_json:
        print_json(found)
        return
    for each in found:
        for line in _lines(each):
            typer.echo(line)


@app.command("feedback")
def list_feedback(as_json: AsJson = False, data: Data = None) -> None:
    """List what people said of incidents, newest first, undone words included."""
    from service.cli.output import print_json, print_table
    from service.cli.parsing import shown_instant
    from service.cli.state import open_state

    with open_state(data) as state:
        found = feedbacks_of(state).all()
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "incident", "verdict", "by", "at", "undone by", "note"),
        [(f.id, f.incident, f.verdict, f.by, shown_instant(f.at), f.undone_by or "-", f.note or "-") for f in found],
    )


@app.command()
def undo(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="As `suture detector feedback` shows it.")],
    data: Data = None,
) -> None:
    """Take feedback back, as if it had not been said."""
    from service.cli.state import actor, open_state

    with open_state(data) as state:
        undone = feedbacks_of(state).undo(identifier, actor())
    typer.echo(f"undone {undone.id}: that {undone.incident} is {undone.verdict} counts no longer")


def feedback(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="For example INC-7.")],
    verdict: Annotated[str, typer.Argument(metavar="VERDICT", help="right or not-an-incident.")],
    note: Annotated[str, typer.Option(help="Why; kept with it and in the audit log.")] = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Say whether it was an incident: the detector becomes more or less tolerant of such series."""
    from models.detection.feedback import Verdict
    from service.cli.output import print_json, shown
    from service.cli.parsing import check_words, one_of
    from service.cli.state import actor, open_state

    word = one_of(Verdict, verdict, "VERDICT")
    if note:
        check_words("--note", note, 2000)
    with open_state(data) as state:
        feedbacks = feedbacks_of(state)
        given = feedbacks.add(state.incidents.get(identifier), word, note, actor())
        now = {each.series: each.tolerance for each in feedbacks.tolerances()}
    if as_json:
        print_json(given)
        return
    typer.echo(f"{given.id}: {given.incident} is {given.verdict}; `suture detector undo {given.id}` takes it back")
    for each in given.classes:
        typer.echo(f"tolerance of {shown(each.family)} of {shown(each.service) or 'no service'}: {now[each]:.2f}")


def feedbacks_of(state: State) -> Feedbacks:
    """The feedback of an installation."""
    from models.domain.base import utc_now
    from service.store.feedback import Feedbacks

    return Feedbacks(state.database, state.audit, utc_now)


@contextmanager
def _view(state: State) -> Iterator[DetectorView]:
    from models.domain.base import utc_now
    from models.domain.errors import BadInput
    from service.cli.reach import context
    from service.detector_view import saved_view
    from service.registry import DETECTORS, build
    from service.store.state import DetectorStates

    section = state.settings.detector
    if section.name == "off":
        raise BadInput("the detector is off; set detector.name", where="detector")
    states = DetectorStates(state.database, utc_now)
    yield saved_view(section.name, build(DETECTORS, section, context()), states, feedbacks_of(state))


def _lines(found: SeriesExplanation) -> list[str]:
    one = found.series
    lines = [_selector(one)]
    lines.append(f"  expected {one.expected:.4g} ({one.lower:.4g} to {one.upper:.4g})")
    at = f", {one.last_at:%F %H:%M:%S} UTC" if one.last_at else ""
    lines.append("  observed nothing yet" if one.observed is None else f"  observed {one.observed:.4g}{at}")
    lines.append(f"  p-value {one.p_value:.3g}; alone it would be reported from {one.threshold:.3g} on")
    lines.append(f"  speaks: {one.component}, score {one.score:.1f}")
    state = "an anomaly now" if one.reported else "in its warm-up" if one.warming_up else "no anomaly"
    held = f", departs for {abs(one.departs_for)} ticks {'up' if one.departs_for > 0 else 'down'}wards"
    lines.append(f"  {state}{held if one.departs_for else ''}; made of {one.scored} values")
    lines.append(f"  feedback: {_tolerance(found.feedback) if found.feedback else 'none in force'}")
    return lines


def _tolerance(each: ClassTolerance) -> str:
    from service.cli.output import shown

    words = ", ".join(f"{one.id} {one.verdict} by {shown(one.by)} on {one.incident}" for one in each.feedback)
    return f"tolerance {each.tolerance:.2f} for {shown(each.series.family)} of {shown(each.series.service)}: {words}"


def _selector(one: Explanation) -> str:
    from service.cli.output import shown

    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()) if name != "__name__")
    return shown(f"{one.labels.get('__name__', '')}{{{labels}}}")
