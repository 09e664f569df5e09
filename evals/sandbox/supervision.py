"""Supervisor, as the sandbox uses it: its configuration file, and its XML-RPC interface on a unix socket."""

from __future__ import annotations

import os
import shlex
import sys
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evals.sandbox.layout import FRONT_DOOR, METRICS_FOLDERS, PROGRAMS, VOLUMES, Layout, private
from evals.sandbox.releases import RELEASES, Releases

STOP_SECONDS = 3
"""How long a program has to end by itself before SIGKILL."""


@dataclass(frozen=True)
class Process:
    """What supervisor knows of one program."""

    name: str
    state: str
    """http://supervisord.org/subprocess.html#process-states"""
    pid: int
    """0 where it does not run."""
    started: int
    """Unix seconds of the last start."""


def write_configuration(layout: Layout, seed: int) -> str:
    """Write `folder/supervisord.conf`, which holds passwords, for its owner only. Returns its path."""
    sections = [
        "[supervisord]",
        "nodaemon = true",
        f"logfile = {layout.log('supervisord')}",
        f"pidfile = {layout.folder / 'supervisord.pid'}",
        f"childlogdir = {layout.folder / 'logs'}",
        f"directory = {layout.folder}",
        *(["user = root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file = {layout.socket}",
        "chmod = 0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for priority, name in enumerate((*PROGRAMS, *VOLUMES)):
        sections += _program(layout, name, priority, _environment(layout, seed)[name])
    path = layout.folder / "supervisord.conf"
    # `%` begins an expansion in supervisor's file.
    private(path, "\n".join(sections).replace("%", "%%") + "\n")
    return str(path)


def _program(layout: Layout, name: str, priority: int, environment: Mapping[str, str]) -> list[str]:
    module, arguments = name.replace("-", "_"), [str(layout.folder)] if name == "postgres" else []
    if name in METRICS_FOLDERS:
        module = "shop_master"
    if name in VOLUMES:
        module, arguments = "volume", [str(layout.folder), name]
    command = shlex.join([sys.executable, "-m", f"evals.sandbox.{module}", *arguments])
    variables = ",".join(f'{key}="{value}"' for key, value in environment.items())
    return [
        f"[program:{name}]",
        f"command = {command}",
        f"environment = {variables}",
        f"priority = {priority}",
        f"autostart = {'false' if name in VOLUMES else 'true'}",
        # What is broken stays broken until somebody repairs it: that is Suture's part.
        "autorestart = false",
        "startsecs = 1",
        # What cannot start now cannot a second later: the answer is then not kept waiting.
        "startretries = 0",
        "stopasgroup = true",
        "killasgroup = true",
        f"stopwaitsecs = {STOP_SECONDS}",
        # For PostgreSQL SIGINT is a fast shutdown; on SIGTERM it would wait for its clients.
        f"stopsignal = {'INT' if name == 'postgres' else 'TERM'}",
        f"stdout_logfile = {layout.log(name)}",
        "stdout_logfile_maxbytes = 1MB",
        "stdout_logfile_backups = 0",
        "redirect_stderr = true",
    ]


def _environment(layout: Layout, seed: int) -> dict[str, dict[str, str]]:
    ports = layout.ports
    common = {"PYTHONUNBUFFERED": "1", "PROMETHEUS_DISABLE_CREATED_SERIES": "true"}
    own: dict[str, dict[str, str]] = {
        "postgres": {},
        "db-exporter": {
            "EXPORTER_PORT": str(ports["db-exporter"]),
            "CLIENT_DSN": layout.dsn("monitor"),
            "SUPERUSER_DSN": layout.dsn("postgres"),
            "EXPORTER_VOLUME": str(layout.volume_in_use),
        },
        "shop": _shop(layout, "shop")
        | {
            "SHOP_RELEASE": str(Releases(layout.releases).pointer),
            "SHOP_WORKERS": str(layout.workers_file),
            "SHOP_IDLE_CONNECTIONS": "2",
        },
        # Pinned to what is known to work; without customers it holds no connections.
        "shop-standby": _shop(layout, "shop-standby")
        | {
            "SHOP_RELEASE": str(Releases(layout.releases).file(RELEASES[0].version)),
            "SHOP_WORKERS": str(layout.folder / "shop-standby-workers"),
            "SHOP_IDLE_CONNECTIONS": "0",
        },
        "proxy": {
            "PROXY_PORT": str(ports[FRONT_DOOR]),
            "PROXY_METRICS_PORT": str(ports["proxy"]),
            "PROXY_POOL": str(layout.pool_file),
            "PROXY_POOLS": ",".join(layout.pools),
            "PROXY_CERTIFICATE": str(layout.certificate[0]),
            "PROXY_KEY": str(layout.certificate[1]),
            "PROXY_PID_FILE": str(layout.proxy_pid),
        },
        "loadgen": {
            "LOADGEN_PORT": str(ports["loadgen"]),
            "LOADGEN_SEED": str(seed),
            "LOADGEN_LOAD": str(layout.load_file),
            "SHOP_URL": layout.front_door,
            "SHOP_CA": str(layout.authority[0]),
        },
    }
    return {name: common | variables for name, variables in own.items()} | dict.fromkeys(VOLUMES, common)


def _shop(layout: Layout, name: str) -> dict[str, str]:
    return {
        "SHOP_PORT": str(layout.ports[name]),
        "SHOP_DSN": layout.dsn("shop"),
        "PROMETHEUS_MULTIPROC_DIR": str(layout.folder / METRICS_FOLDERS[name]),
    }


class Supervisor:
    """The running supervisor. Every method raises OSError where it does not answer, xmlrpc.client.Fault on refusal."""

    def __init__(self, layout: Layout) -> None:
        self._url = layout.supervisor_url

    def process(self, name: str) -> Process:
        """One program as it is now."""
        info: Any = self._call("getProcessInfo", name)
        return Process(info["name"], info["statename"], info["pid"], info["start"])

    def restart(self, name: str) -> Process:
        """Stop the program where it runs, start it, and wait until supervisor calls it running."""
        self.stop(name)
        self._call("startProcess", name)
        return self.process(name)

    def stop(self, name: str) -> None:
        """Stop the program where it runs, and wait until it has ended."""
        if self.process(name).state in ("STARTING", "RUNNING", "STOPPING"):
            self._call("stopProcess", name)

    def _call(self, method: str, *arguments: object) -> object:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, serverurl=self._url)
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)
