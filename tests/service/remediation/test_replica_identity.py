"""A worker's identity: kept over restarts, and held by one process at a time."""

import subprocess
import sys

import pytest

from models.domain.errors import Conflict
from service.remediation.replica import Replica


def test_the_identity_is_kept_and_differs_between_folders(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    assert Replica(one).identity == Replica(one).identity
    assert Replica(one).identity != Replica(other).identity


def test_a_second_worker_on_the_same_folder_is_refused_until_the_first_is_gone(tmp_path):
    code = (
        "import sys, pathlib; from service.remediation.replica import Replica; "
        "one = Replica(pathlib.Path(sys.argv[1])); one.claim(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        mine = Replica(tmp_path)
        with pytest.raises(Conflict, match="another worker runs on"):
            mine.claim()
        other.kill()
        other.wait()
        mine.claim()
        mine.release()
