import json
from pathlib import Path

import pytest

from service.executors.traffic import TrafficExecutor
from service.ports import Effect, ExecutorError
from tests.service.executors.traffic_parts import call, get, json_router, make

POOLS = {"primary": ["127.0.0.1:8001"], "standby": ["127.0.0.1:8002"], "deadly": ["deadly:1"], "deaf": ["deaf:1"]}


def first(folder: Path, pool: str = "primary") -> Path:
    """The file that an operator begins with."""
    file = folder / "pool.json"
    file.write_text(json.dumps({"pool": pool, "servers": POOLS[pool], "key": ""}))
    return file


def settings(file: Path, **more) -> dict:
    return {"kind": "json", "file": str(file), "pools": POOLS, **more}


def refuses(executor: TrafficExecutor, the_call, words: str) -> ExecutorError:
    with pytest.raises(ExecutorError, match=words) as caught:
        executor.act(the_call)
    return caught.value


def test_a_switch_reaches_a_running_router_and_its_repetition_changes_nothing(tmp_path):
    file = first(tmp_path)
    with json_router(file) as reach:
        port = int(reach["status"]["url"].split(":")[2].strip("/"))
        executor = make(shop=settings(file, **reach))
        assert get(port) == "127.0.0.1:8001"
        assert executor.observe(call("standby")) is Effect.ABSENT
        assert "from primary to standby (127.0.0.1:8002)" in executor.dry_run(call("standby"))
        assert get(port) == "127.0.0.1:8001"
        before = executor.snapshot(call("standby"))
        outputs = executor.act(call("standby", before=before))
        assert outputs == {"router": "shop", "before": "primary", "after": "standby"}
        assert get(port) == "127.0.0.1:8002"
        written = json.loads(file.read_text())
        assert (written["pool"], written["servers"], written["key"]) == ("standby", ["127.0.0.1:8002"], "exec-1:act")
        assert executor.observe(call("standby")) is Effect.HAPPENED
        assert executor.act(call("standby", before=before)) == outputs
        assert executor.act(call("primary"))["before"] == "standby"
        assert get(port) == "127.0.0.1:8001"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pool.json", "router.log", "router.pid"]
