"""A real Prometheus, or what speaks its HTTP API (Thanos, Mimir, VictoriaMetrics), by URL.

API: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

import httpx
from pydantic import AfterValidator, Field, ValidationError, model_validator

from models.domain.base import Duration, Frozen
from models.domain.errors import BadInput, SutureError, Unavailable
from models.domain.signal import Sample
from service.ports import Context

_log = logging.getLogger(__name__)


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return value


class PrometheusConfig(Frozen):
    """The source's section of the settings. Secrets are references: `env:NAME`, `file:PATH`."""

    url: str = Field(pattern=r"^https?://[^/]")
    """Where `/api/v1/query` is appended; a path prefix is kept."""
    timeout: Annotated[Duration, AfterValidator(_positive)] = timedelta(seconds=10)
    bearer_token: str | None = None
    username: str | None = None
    password: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with every request, for example `X-Scope-OrgID`."""
    proxy: str | None = None
    """The environment's proxy settings are not used: a monitoring system is mostly inside."""

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.bearer_token is not None and self.username is not None:
            raise ValueError("give bearer_token, or username and password, not both")
        return self


class PrometheusSource:
    """Asks a Prometheus server."""

    name = "prometheus"

    def __init__(self, config: PrometheusConfig, client: httpx.Client) -> None:
        """`client` carries the credentials and the timeout."""
        self._url = config.url.rstrip("/") + "/api/v1/query"
        self._timeout = config.timeout.total_seconds()
        self._client = client

    def query(self, expression: str, at: datetime) -> list[Sample]:
        """The instant vector of a PromQL expression; a scalar is one sample without labels.

        Raises BadInput where the server refuses the expression or its answer is not an instant vector, Unavailable
        where it does not answer, refuses the credentials, or is no Prometheus.
        """
        form = {"query": expression, "time": f"{at.timestamp():.3f}", "timeout": f"{self._timeout:g}s"}
        try:
            response = self._client.post(self._url, data=form)
        except httpx.TimeoutException as error:
            raise Unavailable(f"Prometheus at {self._url} did not answer within {self._timeout:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"Prometheus at {self._url} cannot be reached: {error}") from error
        return _samples(self._data(response), at)

    def healthy(self) -> bool:
        """Whether it answers a query now."""
        try:
            # Asked for a constant: any time does, and every server that speaks the API knows it.
            return len(self.query("vector(1)", datetime.fromisoformat("2020-01-01T00:00:00+00:00"))) == 1
        except SutureError:
            return False

    def _data(self, response: httpx.Response) -> dict[str, Any]:
        status = response.status_code
        if status in (401, 403):
            raise Unavailable(f"Prometheus at {self._url} refuses the credentials ({status}); see source.config")
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or "status" not in answer:
            raise Unavailable(f"what answers at {self._url} ({status}) is not the API of Prometheus")
        if answer["status"] != "success":
            words = f"{answer.get('errorType', 'error')}: {answer.get('error', 'no reason given')}"
            # 400 and 422 blame the expression, all others the server.
            if status in (400, 422):
                raise BadInput(f"Prometheus refuses the expression: {words}")
            raise Unavailable(f"Prometheus at {self._url} failed ({status}): {words}")
        for warning in answer.get("warnings", ()):
            _log.warning("Prometheus warns: %s", warning)
        data = answer.get("data")
        if not isinstance(data, dict):
            raise Unavailable(f"Prometheus at {self._url} answered without data")
        return data


def _samples(data: dict[str, Any], at: datetime) -> list[Sample]:
    kind, result = data.get("resultType"), data.get("result")
    if kind not in ("vector", "scalar"):
        raise BadInput(f"the expression gives a {kind}; an instant vector or a scalar is needed")
    try:
        if kind == "scalar":
            return [Sample(labels={}, at=at, value=float(result[1]))]  # type: ignore[index]
        # A series without a `value` is a native histogram: no number, so no sample.
        return [Sample(labels=row["metric"], at=at, value=float(row["value"][1])) for row in result if "value" in row]  # type: ignore[union-attr]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise Unavailable(f"Prometheus answered a {kind} that cannot be read: {error}") from error


def build(config: Mapping[str, Any], context: Context) -> PrometheusSource:
    """A source from its section of the settings. Raises BadInput where a setting or a secret is wrong."""
    try:
        settings = PrometheusConfig.model_validate(dict(config))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'section'}: {item['msg']}" for item in error.errors()
        )
        raise BadInput(problems, where="source.config") from error
    headers = dict(settings.headers)
    if settings.bearer_token is not None:
        headers["Authorization"] = f"Bearer {_secret(settings.bearer_token, context)}"
    auth = None
    if settings.username is not None and settings.password is not None:
        auth = httpx.BasicAuth(settings.username, _secret(settings.password, context))
    try:
        httpx.URL(settings.url)
        client = httpx.Client(
            headers=headers,
            auth=auth,
            timeout=settings.timeout.total_seconds(),
            proxy=settings.proxy,
            trust_env=False,
        )
    except (httpx.InvalidURL, ValueError) as error:
        raise BadInput(f"url, headers or proxy cannot be used: {error}", where="source.config") from error
    return PrometheusSource(settings, client)


def _secret(reference: str, context: Context) -> str:
    # Checked here, because the HTTP library's error for a bad header repeats it, secret and all.
    value = context.secret(reference).strip()
    if not value or not value.isprintable() or not value.isascii():
        raise BadInput(f"the secret {reference} is empty or no line of ASCII text", where="source.config")
    return value
