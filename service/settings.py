"""Every setting, typed, with its default and its reason. `suture config` prints them.

Read, strongest first: the command line, the environment (`SUTURE_` prefix, `__` between levels), the YAML file that
`SUTURE_CONFIG` names, the defaults here.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from models.domain.base import Duration, Frozen, Labels
from models.domain.errors import BadInput
from models.domain.execution import Mode

CONFIG_VARIABLE = "SUTURE_CONFIG"
LIBRARY = Path(__file__).resolve().parent.parent / "runbooks" / "library"


class ScrapeTarget(Frozen):
    """One endpoint in Prometheus exposition format. `labels` are added to every series of it."""

    url: str = Field(pattern=r"^https?://")
    labels: Labels = Field(default_factory=dict)


class Adapter(Frozen):
    """Which adapter is used, by its entry point's name, and the adapter's own section."""

    name: str
    config: dict[str, Any] = Field(default_factory=dict)


class Settings(BaseSettings):
    """One installation's settings."""

    model_config = SettingsConfigDict(
        env_prefix="SUTURE_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
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
    embedder: Adapter = Adapter(name="minilm")

    # Telemetry
    scrape: tuple[ScrapeTarget, ...] = ()
    scrape_interval: Duration = timedelta(seconds=15)
    retention: Duration = timedelta(hours=6)
    """How long samples are kept in the embedded store."""
    max_series: Annotated[int, Field(ge=1)] = 50_000
    """Series beyond this many are refused and counted, so that a label explosion cannot take the service down."""
    source: Adapter = Adapter(name="embedded")
    """Who answers the queries of checks: `embedded`, or `prometheus` with its URL."""

    # Detection and correlation
    detector: Adapter = Adapter(name="lockstep")
    """`off` disables detection: only alerts and other signals then open incidents."""
    group_window: Duration = timedelta(minutes=5)
    """Signals of connected services join one incident when they come within this of its last signal."""
    failing_requests: str = 'sum(rate(http_requests_total{code=~"5.."}[1m])) / sum(rate(http_requests_total[1m]))'
    """PromQL for the share of requests that fail now, in [0, 1]: the impact of an incident."""
    resolve_after: Duration = timedelta(minutes=5)
    """An incident with no execution resolves when all of its signals were quiet for this long."""

    # Ranking
    abstain_below: Annotated[float, Field(ge=0, le=1)] = 0.25
    """With no candidate at this probability or above, nothing is recommended."""
    model: str | None = None
    """A LiteLLM model name. Unset: the evidence ranker answers alone."""
    model_base_url: str | None = None
    model_api_key: SecretStr | None = None
    model_timeout: Duration = timedelta(seconds=20)
    model_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The model's weight in the order; 0 until `suture eval ranking --model` has measured its skill."""

    # Guard
    policies: Path | None = None
    """Folder of Cedar files, in place of the default set."""
    mode: Mode = Mode.APPROVE
    modes: dict[str, Mode] = Field(default_factory=dict)
    """Per environment, in place of `mode`."""
    signing_key: str | None = None
    """Secret reference (`env:NAME`, `file:PATH`) of the key that signs approvals; unset: made once in `state_dir`.
    Replicas on several machines must share one."""
    approval_expires: Duration = timedelta(hours=1)
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
        file = os.environ.get(CONFIG_VARIABLE)
        return (init_settings, env_settings, *([YamlConfigSettingsSource(settings_cls, file)] if file else []))

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


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; `overrides` (values from the command line) win, None among them is left out.

    Raises BadInput with the setting's name and where it was read.
    """
    file = os.environ.get(CONFIG_VARIABLE)
    if file and not Path(file).is_file():
        raise BadInput(f"{CONFIG_VARIABLE} names the file {file}, which does not exist")
    try:
        return Settings(**{key: value for key, value in overrides.items() if value is not None})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise BadInput(f"not valid YAML: {getattr(error, 'problem', error)}", where=f"{file}:{line}") from error
    except ValidationError as error:
        raise BadInput("; ".join(_explain(item, file) for item in error.errors())) from error


def _explain(item: Any, file: str | None) -> str:
    path = [str(part) for part in item["loc"]]
    name = ".".join(path)
    variable = "SUTURE_" + "__".join(path[:1]).upper()
    origin = (
        variable
        if path and any(key.upper().startswith(variable) for key in os.environ)
        else (file or "the command line")
    )
    if item["type"] == "extra_forbidden":
        return f"{origin}: there is no setting {name!r}; `suture config` lists them"
    return f"{origin}: setting {name}: {item['msg']} (got {item['input']!r})"
