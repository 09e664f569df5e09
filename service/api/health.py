"""Liveness and readiness."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import Request
from fastapi.responses import JSONResponse
from sqlalchemy import text

from models.domain.errors import SutureError, Unavailable
from service.api.dependencies import PartsOf, answers, resource
from service.api.problems import problem
from service.json_input import Problem
from service.parts import Parts

router = resource("operations")
_log = logging.getLogger(__name__)

_READY = {"status": "ready", "checks": {"database": "ok", "index": "ok", "source": "ok"}}


@router.get("/livez", summary="Is the process alive?", responses=answers({"status": "alive"}))
def livez() -> dict[str, str]:
    """Answers as long as the process serves at all; asks no other part."""
    return {"status": "alive"}


@router.get("/readyz", summary="Can it do its work?", response_model=None, responses=answers(_READY, 503))
def readyz(request: Request, parts: PartsOf) -> JSONResponse:
    """Asks the database, the index and the source of telemetry; 503 says which of them fails."""
    failures = [Problem(path=name, problem=words) for name, ask in _PARTS.items() if (words := _failure(ask, parts))]
    if not failures:
        return JSONResponse(_READY)
    detail = "; ".join(f"{each['path']}: {each['problem']}" for each in failures)
    return problem(503, "not ready", detail, instance=request.url.path, errors=failures)


def _failure(ask: Callable[[Parts], None], parts: Parts) -> str | None:
    try:
        ask(parts)
    except SutureError as error:
        return str(error)
    except Exception:  # noqa: BLE001  (whatever it is, the answer is that this part cannot work)
        _log.warning("a part is not ready", exc_info=True)
        return "does not answer; the log has the details"
    return None


def _ask_database(parts: Parts) -> None:
    with parts.database.read() as connection:
        connection.execute(text("SELECT 1"))


def _ask_index(parts: Parts) -> None:
    parts.index.search("is anything there", 1)


def _ask_source(parts: Parts) -> None:
    if not parts.source.healthy():
        raise Unavailable(f"{parts.source.name} does not answer")


_PARTS: dict[str, Callable[[Parts], None]] = {"database": _ask_database, "index": _ask_index, "source": _ask_source}
