"""What the settings say of routers: whose generated file, which pools, how it is checked and read anew."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.domain.base import Duration, Frozen
from service.executors.reloading import AbsolutePath, Argv, Reload
from service.validation import existing_certificates, http_address

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
ServerAddress = Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$", max_length=255)]
"""`host:port`; an IPv6 address in brackets."""
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f{}#]*$", max_length=1000)]
"""One directive of the operator's: it can neither end its section nor hide the rest of it."""

_PROGRAMS = {"nginx": Path("/usr/sbin/nginx"), "haproxy": Path("/usr/sbin/haproxy")}
"""Where Debian and Red Hat install them."""


class Status(Frozen):
    """A request through the router that tells which pool answers.

    The answer, below 500, names the pool or one of its servers: in `header` where that is given, else as its whole
    body. `within`: how long after a reload the old pool may still answer. `ca`: as of the `http` executor.
    """

    url: str
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] | None = None
    within: Duration = Field(default=timedelta(seconds=10), gt=timedelta(0))
    ca: Path | None = None

    _address = field_validator("url")(http_address)
    _certificates = field_validator("ca")(existing_certificates)


class Router(Frozen):
    """One router. `file` belongs to Suture alone.

    `section` is the name of the nginx upstream or the HAProxy backend, by default the router's; `lines` stand in it
    before the servers, `server_options` behind each of them. `config` is the operator's main configuration, in which
    a new file is tried; `validate` does that in place of it, with `{file}` for the path of the new file.
    """

    kind: Literal["nginx", "haproxy", "json"]
    file: AbsolutePath
    pools: dict[Name, Annotated[tuple[ServerAddress, ...], Field(min_length=1)]] = Field(min_length=2)
    section: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,63}$")] | None = None
    lines: tuple[Line, ...] = ()
    server_options: Line = ""
    config: AbsolutePath | None = None
    program: AbsolutePath | None = None
    # `validate` is a method of pydantic's.
    check: Argv | None = Field(default=None, alias="validate")
    reload: Reload | None = None
    status: Status | None = None

    @model_validator(mode="after")
    def _fits_the_kind(self) -> Self:
        if self.check is not None and not any("{file}" in argument for argument in self.check):
            raise ValueError("validate must hold {file}, which stands for the path of the new file")
        if self.kind == "json":
            if self.section or self.lines or self.server_options or self.config or self.program:
                raise ValueError("section, lines, server_options, config and program are not for the kind json")
        elif (self.config is None) == (self.check is None):
            raise ValueError(f"the kind {self.kind} needs config or validate, one of them")
        return self

    @model_validator(mode="after")
    def _pools_differ(self) -> Self:
        if len({frozenset(servers) for servers in self.pools.values()}) < len(self.pools):
            raise ValueError("two pools have the same servers: nobody could tell them apart")
        return self

    def checker(self) -> Path:
        """The program that reads `config`."""
        return self.program or _PROGRAMS[self.kind]

    def told_by(self, pool: str) -> frozenset[str]:
        """The answers of `status` that mean this pool: its name, and its servers that no other pool has."""
        others = {server for name, servers in self.pools.items() if name != pool for server in servers}
        return frozenset({pool, *self.pools[pool]} - others)


class TrafficConfig(Frozen):
    """Settings section `executors.traffic`: the routers that may be switched, each with a file of its own."""

    routers: dict[Name, Router] = Field(min_length=1)

    @model_validator(mode="after")
    def _a_file_each(self) -> Self:
        if len({router.file for router in self.routers.values()}) < len(self.routers):
            raise ValueError("two routers have the same file")
        return self
