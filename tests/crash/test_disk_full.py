"""The database's disk is full: nothing is done without its marker, the log says why, and the work goes on later."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.crash.judge import idle
from tests.crash.lives import Refused

SIZE = 12 * 2**20
SECONDS = 120


@pytest.fixture
def disk():
    """A small file system. Only root can make one."""
    with tempfile.TemporaryDirectory(prefix="suture-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", folder]
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("needs a small file system, which only root may mount")
        yield Path(folder)
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk):
    """Use all that is left; the file that does."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return ballast


def send_many(site, life):
    """The last pages of the database's files may still have room for some."""
    for _ in range(50):
        site.send(site.new("forbidden"), life)


@pytest.fixture
def site(new_site, disk):
    return new_site(f"sqlite:///{disk / 'suture.db'}")


def test_nothing_is_accepted_that_could_not_be_kept(site, disk):
    life = site.start().ready()
    case = site.new("observable")
    ballast = fill(disk)
    with pytest.raises(Refused, match="full"):
        send_many(site, life)
    ballast.unlink()
    assert site.send(case, life)
    assert site.until(lambda: idle(site), SECONDS), site.log()
    assert site.incident(case).status == "resolved"


@pytest.mark.parametrize("step", ["investigate", "start-1", "act-1"])
def test_a_full_disk_in_mid_remediation_acts_on_nothing_unmarked(site, disk, step):
    """It waits, says so, and goes on when there is room; also where it is killed meanwhile."""
    life = site.start(holds=f"{step}/step before").ready()
    case = site.new("observable")
    assert site.send(case, life)
    assert site.until(lambda: (case.name, f"{step}/step before") in life.reached, SECONDS), site.log()
    ballast = fill(disk)
    life.ask("release", case.name)
    assert site.until(lambda: "full" in site.log(), SECONDS), site.log()
    steps = [(one.name, one.state) for execution in site.of(case) for one in execution.steps]
    assert site.effects(case) == 0 or ("act", "started") in steps
    ballast.unlink()
    assert site.until(lambda: idle(site), SECONDS), site.log()
    assert site.incident(case).status == "resolved", [entry.text for entry in site.incident(case).timeline]
    assert site.effects(case) == 1
    assert site.audit.verify().breaks == ()
