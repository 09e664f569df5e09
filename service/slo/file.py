"""Reads the file of objectives."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from models.detection.slo.objective import Objective, Objectives
from models.domain.base import Clock
from models.domain.errors import BadInput
from service.slo.book import SloBook
from service.slo.indicator import selectors_of
from service.store.database import Database
from service.watched_file import WatchedFile
from service.yaml_input import read_yaml


def slo_book(path: Path | None, database: Database, clock: Clock) -> SloBook:
    """The objectives of the file, none without one. Raises BadInput."""
    return SloBook(WatchedFile(path, load_objectives, Objectives()), database, clock)


def load_objectives(path: Path) -> Objectives:
    """The objectives of the YAML file. Raises BadInput with file, line and what mends it."""
    file = read_yaml(path)
    try:
        objectives = Objectives.model_validate(file.values)
    except ValidationError as error:
        raise file.bad_input(error) from error
    problems = [
        f"{file.where(('slos', place, kind, field))}: slos[{place}].{kind}.{field}: {problem}"
        for place, objective in enumerate(objectives.slos)
        for kind, field, problem in _wrong_selectors(objective)
    ]
    if problems:
        raise BadInput("; ".join(problems))
    return objectives


def _wrong_selectors(objective: Objective) -> list[tuple[str, str, str]]:
    kind = "availability" if objective.availability else "latency"
    wrong = []
    for field, selector in selectors_of(objective):
        try:
            _plain_selector(selector)
        except BadInput as error:
            wrong.append((kind, field, error.problem))
    return wrong


def _plain_selector(text: str) -> None:
    """Raises BadInput for what is no instant selector that begins with the name of a metric."""
    from service.promql.nodes import Selector
    from service.promql.parsing import parse

    node = parse(text)
    written = isinstance(node, Selector) and not node.offset and node.metric and text.strip().startswith(node.metric)
    if not written or not text.strip().endswith(("}", str(getattr(node, "metric", "")))):
        raise BadInput(
            f'{text!r} is no selector of a counter; write for example http_requests_total{{service="shop"}}, '
            "without rate(), sum(), a range or an offset"
        )
