"""Where everything of one sandbox is: its folder, its ports, its passwords. Written once, read by every part."""

from __future__ import annotations

import json
import secrets
import socket
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from models.domain.errors import BadInput

HOST = "127.0.0.1"
PROGRAMS = ("postgres", "db-exporter", "shop", "shop-standby", "proxy", "loadgen")
"""In the order in which they start. `db-exporter` and `loadgen` observe; the others can be broken."""
VOLUMES = ("wal-volume", "wal-spare")
"""Programs that stand for two disks of the database (see `volume`). They run only where a fault of a disk is played."""
FRONT_DOOR = "front-door"
"""The port on which `proxy` takes customers; the port by its own name serves its metrics."""
SERVER_NAME = "localhost"
"""What the shop's certificate is for, and what customers check."""
WORKERS = 1
"""Of the shop, where nobody asked for another number. One does well with the `base` load, and not with the `peak`."""
VALID_DAYS = 90
"""Of a new certificate of the shop, as public authorities give it."""
POOL_HEADER = "X-Pool"
"""With it, each answer of the front door says which pool it is from."""
METRICS_FOLDERS = {"shop": "shop-metrics", "shop-standby": "shop-standby-metrics"}
"""Where the workers of each shop share their metrics."""
SOCKET_PATH_LIMIT = 100
"""sun_path holds 108 bytes on Linux and 104 on macOS (unix(7)), the final NUL included."""
_FILE = "sandbox.json"


@dataclass(frozen=True)
class Layout:
    """The folder and what is chosen for it at its creation."""

    folder: Path
    ports: dict[str, int]
    """Of each program in PROGRAMS, and the front door's, on 127.0.0.1."""
    passwords: dict[str, str]
    """Of each PostgreSQL role: `postgres` (superuser), `shop`, `monitor`, `batch`."""

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Choose free ports and new passwords, and write them to `folder/sandbox.json` (owner only).

        Raises BadInput where the folder holds a sandbox already or its path is too long.
        """
        folder = folder.resolve()
        if len(str(folder / "supervisor.sock")) > SOCKET_PATH_LIMIT:
            raise BadInput(f"the path {folder} is too long for a socket below it: choose a shorter one")
        if (folder / _FILE).exists():
            raise BadInput(f"{folder} already holds a sandbox: choose another folder, or remove it")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        roles = ("postgres", "shop", "monitor", "batch")
        layout = cls(folder, free_ports((*PROGRAMS, FRONT_DOOR)), {role: secrets.token_hex(16) for role in roles})
        for name in ("logs", "bin", "releases", "volumes", *METRICS_FOLDERS.values()):
            (folder / name).mkdir(exist_ok=True)
        private(folder / _FILE, json.dumps({**asdict(layout), "folder": str(folder)}, indent=1))
        return layout

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The layout of an existing sandbox. Raises BadInput where there is none."""
        try:
            values = json.loads((folder / _FILE).read_text())
        except FileNotFoundError as error:
            raise BadInput(f"{folder} holds no sandbox: `suture sandbox up --folder {folder}` starts one") from error
        return cls(Path(values["folder"]), values["ports"], values["passwords"])

    @property
    def socket(self) -> Path:
        """Supervisor's XML-RPC socket."""
        return self.folder / "supervisor.sock"

    @property
    def supervisor_url(self) -> str:
        """Supervisor's XML-RPC address, as the `process` executor takes it."""
        return f"unix://{self.socket}"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.folder / "pgdata"

    @property
    def releases(self) -> Path:
        """The shop's releases, which one is current, and what was deployed when."""
        return self.folder / "releases"

    @property
    def workers_file(self) -> Path:
        """How many workers the shop is to have: a number, read when it starts."""
        return self.folder / "shop-workers"

    @property
    def load_file(self) -> Path:
        """How many customers come: a name of `load.LOADS`, which `loadgen` reads again every now and then."""
        return self.folder / "load"

    @property
    def pool_file(self) -> Path:
        """Where the proxy sends customers: the file that the `traffic` executor writes."""
        return self.folder / "pool.json"

    def volume(self, name: str) -> Path:
        """What a volume holds."""
        return self.folder / "volumes" / name

    def volume_delay(self, name: str) -> Path:
        """How long a volume keeps a write waiting: seconds, read again by `volume` at each write."""
        return self.folder / "volumes" / f"{name}.delay"

    @property
    def volume_in_use(self) -> Path:
        """The name of the volume to which the database writes; there is none where its disk is not watched."""
        return self.folder / "volumes" / "in-use"

    @property
    def proxy_pid(self) -> Path:
        """The proxy's process id; on SIGHUP it reads its pool and its certificate again."""
        return self.folder / "proxy.pid"

    @property
    def authority(self) -> tuple[Path, Path]:
        """Certificate and key of the authority that customers trust."""
        return self.folder / "ca.pem", self.folder / "ca.key"

    @property
    def certificate(self) -> tuple[Path, Path]:
        """Certificate and key that the proxy serves."""
        return self.folder / "shop.pem", self.folder / "shop.key"

    @property
    def pools(self) -> dict[str, list[str]]:
        """The servers of each pool between which traffic can be switched, as HOST:PORT."""
        return {"primary": [self.address("shop")], "standby": [self.address("shop-standby")]}

    def script(self, name: str) -> Path:
        """A program that `script/run` may be allowed to run."""
        return self.folder / "bin" / name

    def log(self, program: str) -> Path:
        """What a program printed."""
        return self.folder / "logs" / f"{program}.log"

    def address(self, name: str) -> str:
        """HOST:PORT of a program, or of the front door."""
        return f"{HOST}:{self.ports[name]}"

    def url(self, program: str, path: str = "/metrics") -> str:
        """The HTTP address of a program other than `postgres`."""
        return f"http://{self.address(program)}{path}"

    @property
    def front_door(self) -> str:
        """Where customers come in."""
        return f"https://{self.address(FRONT_DOOR)}"

    def dsn(self, role: str) -> str:
        """The libpq connection string of a role, to the database `shop`."""
        return (
            f"host={HOST} port={self.ports['postgres']} dbname=shop user={role} password={self.passwords[role]}"
            f" application_name={role} connect_timeout=2"
        )


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """A free port on 127.0.0.1 for each name, all different."""
    with ExitStack() as held:
        listeners = {name: held.enter_context(socket.socket()) for name in names}
        for listener in listeners.values():
            listener.bind((HOST, 0))
        return {name: listener.getsockname()[1] for name, listener in listeners.items()}


def replace_text(path: Path, text: str) -> None:
    """Write a file so that whoever reads it finds the old text or the new one, never a part."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)


def private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.touch(mode=0o600)
    path.write_text(text)
