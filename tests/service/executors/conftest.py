"""A real supervisord with small real processes, on a unix socket and on a loopback port."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.domain.base import utc_now
from service.ports import Context
from service.security.secrets import resolve_secret

PROGRAMS = {
    "shop": ("sleep 600", "startsecs=0"),
    "frozen": ("sleep 600", "startsecs=0\nstopwaitsecs=1"),
    "stubborn": ("{python} -c \"import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True);"
                 " time.sleep(600)\"", "startsecs=0\nstopwaitsecs=1"),
    "dies": ("{python} -c \"raise SystemExit(3)\"", "startsecs=1\nstartretries=0\nautostart=false"),
    "missing": ("/nonexistent/program", "autostart=false"),
    "private": ("sleep 600", "startsecs=0"),
    "counts": ("{python} {folder}/counts.py", "autostart=false\nstartsecs=0"),
}  # fmt: skip


COUNTS = """
import signal, time
log = open({log!r}, "a", buffering=1)
for each in (signal.SIGUSR1, signal.SIGTTIN):
    signal.signal(each, lambda number, _: print(signal.Signals(number).name, file=log))
print("up", file=log)
while True:
    time.sleep(600)
"""
"""Writes down the signals that it gets."""


@dataclass
class Supervised:
    process: subprocess.Popen[bytes]
    socket: Path
    port: int
    secrets: dict[str, str]

    @property
    def config(self) -> dict:
        login = {"username": "env:SUPERVISOR_USER", "password": "env:SUPERVISOR_PASSWORD"}
        return {
            "servers": {
                "default": {"url": f"unix://{self.socket}"},
                "tcp": {"url": f"http://127.0.0.1:{self.port}/RPC2", **login},
            },
            "allow": ["shop", "frozen", "stubborn", "dies", "miss*", "counts"],
        }

    @property
    def context(self) -> Context:
        return Context(clock=utc_now, secret=lambda reference: resolve_secret(reference, self.secrets))


@pytest.fixture(scope="session")
def supervised() -> Iterator[Supervised]:
    with tempfile.TemporaryDirectory(prefix="sv") as folder, socket.socket() as free:  # short: socket paths end at 107
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        path = Path(folder) / "s.sock"
        process = _start(Path(folder), path, port)
        secrets = {"SUPERVISOR_USER": "suture", "SUPERVISOR_PASSWORD": "s3cret-words"}
        try:
            yield Supervised(process, path, port, secrets)
        finally:
            process.send_signal(signal.SIGCONT)
            _end(process, port)


def _start(folder: Path, path: Path, port: int) -> subprocess.Popen[bytes]:
    sections = [
        f"[unix_http_server]\nfile={path}",
        f"[inet_http_server]\nport=127.0.0.1:{port}\nusername=suture\npassword=s3cret-words",
        f"[supervisord]\nnodaemon=true\nchildlogdir={folder}\nlogfile={folder}/log\npidfile={folder}/pid",
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for name, (command, more) in PROGRAMS.items():
        text = command.format(python=sys.executable, folder=folder)
        sections.append(f"[program:{name}]\ncommand={text}\nautorestart=false\n{more}")
    (folder / "counts.py").write_text(COUNTS.format(log=str(folder / "counted")))
    (folder / "supervisord.conf").write_text("\n".join(sections))
    arguments = [sys.executable, "-m", "supervisor.supervisord", "-c", str(folder / "supervisord.conf")]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (path.exists() and (folder / "log").read_text().count("entered RUNNING") >= 4):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "log").read_text())
        time.sleep(0.05)
    return process


def _end(process: subprocess.Popen[bytes], port: int) -> None:
    # Killed, not shut down: an orderly shutdown takes seconds and is not what is tested.
    server = xmlrpc.client.ServerProxy(f"http://suture:s3cret-words@127.0.0.1:{port}/RPC2")
    pids = [entry["pid"] for entry in server.supervisor.getAllProcessInfo() if entry["pid"]]
    process.kill()
    process.wait(10)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
