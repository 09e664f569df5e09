"""Supervisor's programs `wal-volume` and `wal-spare`: each stands for a disk to which the database writes its log.

No ordinary user can make a real disk slow. What a slow disk does to a database is that a commit is acknowledged late,
because the write-ahead log must be on the disk first. Here that log goes to PostgreSQL's own `pg_receivewal`, which
writes and flushes it below the sandbox's folder and says so; a database that was told to (`synchronous_standby_names`)
acknowledges no commit before. This program keeps its `pg_receivewal` stopped for the seconds that the volume's delay
says, lets it write for a moment, and so on: commits really wait, reads do not, and no restart helps.

`python -m evals.sandbox.volume FOLDER NAME`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from evals.sandbox.layout import HOST, Layout
from evals.sandbox.postgres import binaries

WRITES = 0.03
"""Seconds that a slow volume takes writes between two waits."""
LOOK_SECONDS = 0.2
"""Between two looks of a volume that is not slow at how slow it is to be."""


def main(folder: Path, name: str) -> None:
    """Take the log until SIGTERM, or until the receiver ends. It connects again by itself to a restarted server."""
    layout = Layout.load(folder)
    # An empty one: where an old one ended, the server may have nothing any more to go on from.
    shutil.rmtree(layout.volume(name), ignore_errors=True)
    layout.volume(name).mkdir(parents=True)
    command = [str(binaries() / "pg_receivewal"), "--synchronous", "-D", str(layout.volume(name))]
    receiver = subprocess.Popen(command, env=_environment(layout, name))

    def end(_signal: int, _frame: FrameType | None) -> None:
        # A stopped process hears of its end only when it goes on.
        os.kill(receiver.pid, signal.SIGCONT)
        receiver.kill()

    signal.signal(signal.SIGTERM, end)
    while receiver.poll() is None:
        delay = delay_of(layout, name)
        if delay > 0:
            receiver.send_signal(signal.SIGSTOP)
            time.sleep(delay)
            receiver.send_signal(signal.SIGCONT)
        time.sleep(WRITES if delay > 0 else LOOK_SECONDS)


def _environment(layout: Layout, name: str) -> dict[str, str]:
    """How the receiver reaches the server; on its command line everybody could read the password."""
    port, password = str(layout.ports["postgres"]), layout.passwords["postgres"]
    return {
        **os.environ, "PGHOST": HOST, "PGPORT": port, "PGUSER": "postgres", "PGPASSWORD": password, "PGAPPNAME": name,
    }  # fmt: skip


def delay_of(layout: Layout, name: str) -> float:
    """Seconds for which that volume keeps writes waiting; 0 where nobody made it slow."""
    try:
        return float(layout.volume_delay(name).read_text())
    except FileNotFoundError:
        return 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
