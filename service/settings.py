"""Every setting, typed, with its default and its reason. `suture config` prints them.

Read, strongest first: the command line, the environment (`SUTURE_` prefix, `__` between levels), the YAML file that
`SUTURE_CONFIG` names, the defaults here.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from models.detection.logs.config import LogSettings
from models.domain.base import Frozen, Labels
from models.domain.errors import BadInput
from models.domain.execution import Mode
from models.redaction import Redaction
from runbooks import LIBRARY
from service.diagnosis_settings import DiagnosisSettings
from service.discovery.settings import DiscoverySettings
from service.guard_settings import ApprovalSettings, AutonomySettings, LimitSettings, Span
from service.language_settings import AnswerFormat, ModelBudget, ModelCache
from service.settings_errors import not_json, not_valid
from service.yaml_input import YamlFile, read_yaml

CONFIG_VARIABLE = "SUTURE_CONFIG"


def _http(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return text


class ScrapeTarget(Frozen):
    """One endpoint in Prometheus exposition format. `labels` are added to every series of it."""

    url: Annotated[str, AfterValidator(_http)]
    labels: Labels = Field(default_factory=dict)


class Adapter(Frozen):
    """Which adapter is used, by its entry point's name, and the adapter's own section."""

    name: str
    config: dict[str, Any] = Field(default_factory=dict)


SignalFormat = Literal["signals", "alertmanager"]
"""What a body of signals is written in: our own form, or what Alertmanager's webhook receiver gets."""


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class WebhookSettings(Frozen):
    """One sender that signs what it sends to `/v1/webhooks/NAME`.

    `secret`: a reference, `env:NAME` or `file:PATH`, or a list of them while one is being changed: any of them holds.
    """

    secret: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1, max_length=8)]
    format: SignalFormat = "signals"


WebhookName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class Settings(BaseSettings):
    """One installation's settings."""

    model_config = SettingsConfigDict(
        env_prefix="SUTURE_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        validate_default=True,
    )

    # State
    state_dir: Path = Path("suture-state")
    """Database, index, detector state, generated postmortems and keys, where nothing else is set."""
    database_url: str | None = None
    """`postgresql://…`, or unset for SQLite in `state_dir`."""

    # Knowledge
    runbooks: tuple[Path, ...] = (LIBRARY,)
    """Folders of Markdown. Postmortems that Suture writes go to `state_dir/postmortems`, indexed too."""
    topology: Path | None = None
    """YAML: services with `depends_on`, `environment`, `labels`."""
    discovery: DiscoverySettings = DiscoverySettings()
    """How dependencies are found that the topology file does not tell of (docs/topology.md)."""
    embedder: Adapter = Adapter(name="minilm")

    # Telemetry
    scrape: tuple[ScrapeTarget, ...] = ()
    scrape_interval: Span = timedelta(seconds=15)
    retention: Span = timedelta(hours=6)
    """How long samples are kept in the embedded store."""
    max_series: Annotated[int, Field(ge=1)] = 50_000
    """Series beyond this many are refused and counted, so that a label explosion cannot take the service down."""
    source: Adapter = Adapter(name="embedded")
    """Who answers the queries of checks: `embedded`, or `prometheus` with its URL."""
    webhooks: dict[WebhookName, WebhookSettings] = Field(default_factory=dict)
    """Who may send signals by signature (Standard Webhooks), each under a name of its own in the path."""
    logs: LogSettings = LogSettings()
    """How log lines become templates and series, and what is kept of them at most."""
    slos: Path | None = None
    """YAML: service level objectives (docs/slo.md). Read again when it changes; so is `checks`."""
    checks: Path | None = None
    """YAML: standing checks (docs/checks.md), measured on a schedule."""

    # Detection and correlation
    detector: Adapter = Adapter(name="lockstep")
    """`off` disables detection: only alerts and other signals then open incidents."""
    group_window: Span = timedelta(minutes=5)
    """Signals of connected services join one incident when they come within this of its last signal."""
    failing_requests: str = 'sum(rate(http_requests_total{code=~"5.."}[1m])) / sum(rate(http_requests_total[1m]))'
    """PromQL for the share of requests that fail now, in [0, 1]: the impact of an incident."""
    resolve_after: Span = timedelta(minutes=5)
    """An incident with no execution resolves when all of its signals were quiet for this long."""

    # Ranking
    abstain_below: Annotated[float, Field(ge=0, le=1)] = 0.25
    """With no candidate at this probability or above, nothing is recommended."""
    diagnose: DiagnosisSettings = DiagnosisSettings()
    """How much is measured while ranking, and whether runbooks' `diagnose` checks are asked."""
    model: str | None = None
    """A LiteLLM model name. Unset: the evidence ranker answers alone."""
    model_base_url: str | None = None
    model_api_key: SecretStr | None = None
    model_timeout: Span = timedelta(seconds=20)
    """Of a whole call, retries included."""
    model_prompt_chars: Annotated[int, Field(ge=1_500, le=1_000_000)] = 16_000
    """Of one prompt, without its instructions: less for a model with a small context window."""
    model_max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 1_200
    """Of one answer: eight candidates with two quoted sentences each."""
    model_retries: Annotated[int, Field(ge=0, le=5)] = 1
    """After a lost connection, or where the provider asks to come back later; never after a timeout."""
    model_format: AnswerFormat = "auto"
    """`schema` for a server of your own that holds a model to a JSON Schema (vLLM, llama.cpp)."""
    model_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The model's weight in the order; 0 until `suture eval ranking --model` has measured its skill."""
    model_budget: ModelBudget = ModelBudget()
    """Tokens and dollars, per incident and per day."""
    model_cache: ModelCache = ModelCache()
    """Answers that are kept in the store."""
    redaction: Redaction = Redaction()
    """What is replaced before a text leaves this machine: prompts, texts for an embedding provider, webhooks."""

    # Guard
    policies: Path | None = None
    """Folder of Cedar files, in place of the default set."""
    mode: Mode = Mode.APPROVE
    modes: dict[str, Mode] = Field(default_factory=dict)
    """Per environment, in place of `mode`."""
    signing_key: str | None = None
    """Secret reference (`env:NAME`, `file:PATH`) of the key that signs approvals; unset: made once in `state_dir`.
    Replicas on several machines must share one."""
    approval_expires: Span = timedelta(hours=1)
    approvals: ApprovalSettings = ApprovalSettings()
    """When people are reminded, and when an admin is asked too."""
    autonomy: AutonomySettings = AutonomySettings()
    """How an action earns its mode in an environment."""
    limits: LimitSettings = LimitSettings()
    """Rates, blast radius, freezes, circuit breaker: over all replicas."""
    error_budget_left: str | None = None
    """PromQL for the share of the error budget that is left, in [0, 1]; policies can ask for it."""
    replica_lease: Span = timedelta(seconds=30)
    """A worker that gave no sign for so long is taken for dead: another one continues what it was doing."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Candidates tried for one incident before a person is asked."""

    # Acting
    executors: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Each executor's own section by its name; one that needs a section and has none is not offered."""
    ticketing: Adapter = Adapter(name="embedded")

    # Serving
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command-line values, then the environment, then the file."""
        file = settings_file()
        return (init_settings, env_settings, *([InitSettingsSource(settings_cls, file.values)] if file else []))

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the store."""
        if self.database_url is None:
            return f"sqlite:///{(self.state_dir / 'suture.db').resolve()}"
        return self.database_url.replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def postmortems(self) -> Path:
        """Where postmortem drafts are written."""
        return self.state_dir / "postmortems"

    @property
    def corpus(self) -> tuple[Path, ...]:
        """All folders that are indexed."""
        return (*self.runbooks, self.postmortems)

    def mode_of(self, environment: str) -> Mode:
        """The mode of an environment."""
        return self.modes.get(environment, self.mode)


def settings_file() -> YamlFile | None:
    """The file that SUTURE_CONFIG names, None where it is not set. Raises BadInput with file and line."""
    file = os.environ.get(CONFIG_VARIABLE)
    if not file:
        return None
    if not Path(file).is_file():
        raise BadInput(f"{CONFIG_VARIABLE} names {file}, which is no file")
    return read_yaml(Path(file))


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; `overrides` (values from the command line) win, None among them is left out.

    Raises BadInput with the setting's name and where it was read.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except SettingsError as error:
        raise not_json(error, Settings.model_fields) from error
    except ValidationError as error:
        raise not_valid(error, Settings.model_fields, settings_file(), given) from error
