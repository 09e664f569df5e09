import contextlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.domain.errors import BadInput
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


def test_a_file_that_was_changed_by_hand_is_refused_and_left_alone(tmp_path):
    file = first(tmp_path)
    executor = make(shop=settings(file))
    executor.act(call("standby"))
    edited = file.read_text().replace("8002", "8009")
    file.write_text(edited)
    error = refuses(executor, call("primary"), "changed by hand")
    assert error.effect is Effect.ABSENT
    assert file.read_text() == edited
    assert executor.observe(call("primary")) is Effect.UNKNOWN
    with pytest.raises(ExecutorError, match="changed by hand"):
        executor.dry_run(call("primary"))


def test_the_first_file_must_say_what_the_settings_say_of_one_pool(tmp_path):
    file = tmp_path / "pool.json"
    file.write_text('{"pool": "primary", "servers": ["127.0.0.1:9999"]}')
    refuses(make(shop=settings(file)), call("standby"), "changed by hand")
    file.unlink()
    executor = make(shop=settings(file))
    assert executor.act(call("standby")) == {"router": "shop", "before": None, "after": "standby"}
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_pool_that_got_other_servers_in_the_settings_is_still_known(tmp_path):
    file = first(tmp_path)
    make(shop=settings(file)).act(call("standby"))
    changed = POOLS | {"standby": ["127.0.0.1:8002", "127.0.0.1:8003"]}
    executor = make(shop=settings(file, pools=changed))
    assert executor.act(call("primary"))["before"] == "standby"


def test_another_users_configuration_behind_a_link_is_refused(tmp_path):
    real = first(tmp_path)
    link = tmp_path / "link.json"
    link.symlink_to(real)
    refuses(make(shop=settings(link)), call("standby"), "not a regular file")


def test_a_router_that_does_not_take_the_new_pool_keeps_the_old_one(tmp_path):
    file = first(tmp_path)
    with json_router(file) as reach:
        executor = make(shop=settings(file, **reach))
        error = refuses(executor, call("deaf"), "does not send to deaf.*primary is in place again")
        assert error.effect is Effect.ABSENT
        assert json.loads(file.read_text())["pool"] == "primary"
        assert executor.act(call("standby", key="exec-2:act"))["after"] == "standby"


def test_a_router_that_the_reload_ends_leaves_the_effect_unknown(tmp_path):
    file = first(tmp_path)
    with json_router(file) as reach:
        executor = make(shop=settings(file, **reach))
        error = refuses(executor, call("deadly"), "gone after the reload.*could not be brought back")
        assert error.effect is Effect.UNKNOWN
        assert json.loads(file.read_text())["pool"] == "primary"
        assert executor.observe(call("deadly")) is Effect.UNKNOWN


def test_a_router_that_is_not_there_is_found_before_anything_is_written(tmp_path):
    file = first(tmp_path)
    before = file.read_bytes()
    pid_file = tmp_path / "pid"
    executor = make(shop=settings(file, reload={"signal": "HUP", "pid_file": str(pid_file)}))
    for content in (None, "0", "-1", "1", "shop", "4194304"):  # the last: above the kernel's largest (proc(5) pid_max)
        if content is not None:
            pid_file.write_text(content)
        assert refuses(executor, call("standby"), "pid").effect is Effect.ABSENT
    assert file.read_bytes() == before


def test_a_pid_file_that_is_being_written_anew_is_waited_for(tmp_path):
    file = first(tmp_path)
    with json_router(file) as reach:
        pid_file = Path(reach["reload"]["pid_file"])
        pid = pid_file.read_text()
        pid_file.write_text("")
        writer = threading.Timer(0.3, pid_file.write_text, (pid,))
        writer.start()
        assert make(shop=settings(file, **reach)).act(call("standby"))["after"] == "standby"
        writer.join()


def test_a_crash_before_the_reload_is_finished_by_running_it_again(tmp_path):
    file = first(tmp_path)
    with json_router(file) as reach:
        make(shop=settings(file)).act(call("standby"))  # no reload: as if the service had ended just before it
        executor = make(shop=settings(file, **reach))
        port = int(reach["status"]["url"].split(":")[2].strip("/"))
        assert get(port) == "127.0.0.1:8001"
        assert executor.observe(call("standby")) is Effect.UNKNOWN, "the file is changed, so it is not absent"
        executor.act(call("standby"))
        assert get(port) == "127.0.0.1:8002"
        assert executor.observe(call("standby")) is Effect.HAPPENED


def test_an_attempt_after_a_crash_puts_back_what_was_there_before_the_first(tmp_path):
    file = first(tmp_path)
    with json_router(file) as reach:
        executor = make(shop=settings(file, **reach))
        before = executor.snapshot(call("deaf"))
        make(shop=settings(file)).act(call("deaf", before=before))  # no reload: the service ended just before it
        error = refuses(executor, call("deaf", before=before), "does not send to deaf.*primary is in place again")
        assert error.effect is Effect.ABSENT
        assert json.loads(file.read_text())["pool"] == "primary"


def test_a_check_that_refuses_or_hangs_changes_nothing(tmp_path):
    file = first(tmp_path)
    before = file.read_bytes()
    says_no = [
        sys.executable,
        "-c",
        "import json, sys; json.load(open(sys.argv[1])); sys.exit('no such pool')",
        "{file}",
    ]
    error = refuses(make(shop=settings(file, validate=says_no)), call("standby"), "no such pool")
    assert (error.effect, error.retriable) == (Effect.ABSENT, False)
    hangs = [sys.executable, "-c", "import time; time.sleep(600)", "{file}"]
    error = refuses(make(shop=settings(file, validate=hangs)), call("standby", timeout=0.5), "was ended after")
    assert error.effect is Effect.ABSENT
    assert refuses(make(shop=settings(file, validate=["/no/such", "{file}"])), call("standby"), "cannot be checked")
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["pool.json"]


def test_a_reload_program_that_fails_puts_the_old_file_back(tmp_path):
    file = first(tmp_path)
    fails = {"argv": [sys.executable, "-c", "import os, sys; sys.exit(os.environ['SUTURE_IDEMPOTENCY_KEY'])"]}
    error = refuses(make(shop=settings(file, reload=fails)), call("standby"), "exec-1:act")
    assert error.effect is Effect.UNKNOWN
    assert json.loads(file.read_text())["pool"] == "primary"


class Endless(BaseHTTPRequestHandler):
    """A page of the pool's, that never ends."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("X-Server", "standby")
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(300):
                self.wfile.write(b"x")
                time.sleep(0.1)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("header", "effect"), [("X-Server", Effect.HAPPENED), (None, Effect.UNKNOWN)])
def test_a_status_page_without_an_end_holds_nobody(tmp_path, header, effect):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    asked = []
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        executor = make(shop=settings(first(tmp_path, "standby"), status={"url": url, "header": header}))
        thread = threading.Thread(target=lambda: asked.append(executor.observe(call("standby"))), daemon=True)
        thread.start()
        thread.join(15)  # the page would go on for 30 s
        assert asked == [effect]
    finally:
        server.shutdown()
        server.server_close()


def test_two_switches_of_one_router_wait_for_each_other(tmp_path):
    file = first(tmp_path)
    slow = {"argv": [sys.executable, "-c", "import time; time.sleep(1)"]}
    executor = make(shop=settings(file, reload=slow))
    thread = threading.Thread(target=executor.act, args=(call("standby"),))
    thread.start()
    while json.loads(file.read_text())["pool"] != "standby":
        time.sleep(0.02)
    error = refuses(executor, call("primary", key="exec-2:act", timeout=0.1), "switched by another")
    assert (error.retriable, error.effect) == (True, Effect.ABSENT)
    thread.join()


def test_a_stop_that_was_asked_for_comes_before_the_change(tmp_path):
    file = first(tmp_path)
    refuses(make(shop=settings(file)), call("standby", cancelled=lambda: True), "asked to stop")
    assert json.loads(file.read_text())["pool"] == "primary"


@pytest.mark.parametrize(
    ("router", "to"), [("shop", "nowhere"), ("other", "standby"), ("../shop", "standby"), ("shop", "{{ x }}")]
)
def test_what_is_not_configured_is_refused(tmp_path, router, to):
    file = first(tmp_path)
    with pytest.raises(ExecutorError) as caught:
        make(shop=settings(file)).act(call(to, router=router))
    assert caught.value.effect is Effect.ABSENT


def test_the_target_is_the_router():
    assert TrafficExecutor.target("switch", {"router": "shop", "to": "standby"}) == "traffic:shop"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": "relative.json"}, "absolute"),
        ({"pools": {"primary": ["127.0.0.1:1"], "standby": ["127.0.0.1:1"]}}, "same servers"),
        ({"pools": {"primary": ["127.0.0.1:1; }"], "standby": ["127.0.0.1:2"]}}, "pools.primary"),
        ({"validate": ["/bin/true"]}, "{file}"),
        ({"validate": ["true", "{file}"]}, "absolute"),
        ({"reload": {"signal": "HUP"}}, "pid_file"),
        ({"reload": {"signal": "KILL", "pid_file": "/run/x"}}, "reload.signal"),
        ({"reload": {"argv": ["/bin/true"], "signal": "HUP", "pid_file": "/run/x"}}, "one of them"),
        ({"lines": ["keepalive 4;"]}, "not for the kind json"),
        ({"kind": "nginx"}, "config or validate"),
        ({"kind": "nginx", "config": "/etc/nginx/nginx.conf", "lines": ["} evil {\n"]}, "lines"),
    ],
)
def test_wrong_settings_are_refused_with_their_key(tmp_path, change, words):
    with pytest.raises(BadInput, match=words):
        make(shop=settings(tmp_path / "pool.json") | change)
