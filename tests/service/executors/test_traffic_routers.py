"""Real nginx and real HAProxy, as ordinary processes on loopback, while requests pass through them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from service.ports import Effect, ExecutorError
from tests.service.executors.traffic_parts import Load, backend, call, free_port, get, make, running

pytestmark = pytest.mark.needs_apt


def found(program: str, package: str) -> str:
    path = shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if path is None:
        pytest.skip(f"no {program}: apt-get install {package}")
    return path


@contextmanager
def pools() -> Iterator[dict]:
    with backend("primary") as primary, backend("standby") as standby:
        yield {"primary": [primary], "standby": [standby]}


def answers(port: int) -> bool:
    try:
        return get(port) in ("primary", "standby")
    except OSError:
        return False


NGINX = """
daemon off; master_process on; worker_processes 2;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    include pools/*.conf;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://shop; add_header X-Server $upstream_addr always; }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[tuple[int, dict]]:
    program = found("nginx", "nginx-light")
    with pools() as servers:
        (folder / "pools").mkdir()
        file = folder / "pools" / "shop.conf"
        # As an operator writes it: no mark, another spacing.
        file.write_text(f"# the shop\nupstream shop {{ server {servers['primary'][0]}; }}\n")
        (folder / "pools" / "other.conf").write_text("upstream other { server 127.0.0.1:1; }\n")
        port, main = free_port(), folder / "nginx.conf"
        main.write_text(NGINX.format(folder=folder, port=port))
        settings = {
            "kind": "nginx", "file": str(file), "pools": servers, "config": str(main), "program": program,
            "reload": {"signal": "HUP", "pid_file": str(folder / "nginx.pid")},
            "status": {"url": f"http://127.0.0.1:{port}/", "header": "X-Server"},
        }  # fmt: skip
        with running([program, "-c", str(main)], lambda: answers(port), folder / "log"):
            yield port, settings


HAPROXY = """
global
    stats socket {folder}/admin.sock mode 600 expose-fd listeners
defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
frontend web
    bind 127.0.0.1:{port}
    http-response set-header X-Server %si:%sp
    default_backend shop
"""


@contextmanager
def haproxy(folder: Path) -> Iterator[tuple[int, dict]]:
    program = found("haproxy", "haproxy")
    with pools() as servers:
        file, main, port = folder / "shop.cfg", folder / "haproxy.cfg", free_port()
        file.write_text(f"backend shop\n  server s1 {servers['primary'][0]}\n")
        main.write_text(HAPROXY.format(folder=folder, port=port))
        settings = {
            "kind": "haproxy", "file": str(file), "pools": servers, "config": str(main), "program": program,
            "reload": {"signal": "USR2", "pid_file": str(folder / "haproxy.pid")},
            "status": {"url": f"http://127.0.0.1:{port}/", "header": "X-Server"},
        }  # fmt: skip
        pid_file = folder / "haproxy.pid"
        argv = [program, "-W", "-f", str(main), "-f", str(file), "-p", str(pid_file)]
        ready = lambda: pid_file.exists() and answers(port)  # noqa: E731
        with running(argv, ready, folder / "log"):
            yield port, settings


@pytest.fixture(params=[nginx, haproxy], ids=["nginx", "haproxy"])
def router(request, tmp_path) -> Iterator[tuple[int, dict]]:
    with ExitStack() as stack:
        yield stack.enter_context(request.param(tmp_path))


def test_traffic_moves_to_the_other_pool_and_back_without_a_failed_request(router):
    port, settings = router
    executor = make(shop=settings)
    with Load(port) as load:
        load.wait_for("primary", 20)
        assert "from primary to standby" in executor.dry_run(call("standby"))
        for number, pool in enumerate(["standby", "primary", "standby"]):
            key = f"exec-{number}:act"
            assert executor.act(call(pool, key=key))["after"] == pool
            load.wait_for(pool, 20)
            assert executor.observe(call(pool, key=key)) is Effect.HAPPENED
    assert load.failures == []
    assert get(port) == "standby"


def test_a_file_that_the_router_refuses_never_replaces_the_old_one(router):
    port, settings = router
    file = Path(settings["file"])
    make(shop=settings).act(call("primary"))
    before = file.read_bytes()
    executor = make(shop=settings | {"server_options": "no-such-option=1"})
    with pytest.raises(ExecutorError, match=r"not valid(.|\n)*no-such-option"):
        executor.dry_run(call("standby"))
    with pytest.raises(ExecutorError, match="not valid") as caught:
        executor.act(call("standby"))
    assert caught.value.effect is Effect.ABSENT
    assert file.read_bytes() == before
    assert get(port) == "primary"
    assert list(Path(settings["config"]).parent.rglob("*candidate*")) == []


def test_a_configuration_that_does_not_include_the_file_is_refused(tmp_path):
    with nginx(tmp_path) as (port, settings):
        elsewhere = tmp_path / "elsewhere.conf"
        elsewhere.write_text(Path(settings["file"]).read_text())
        copy = tmp_path / ".nginx.conf.x.candidate"  # of an attempt that was killed while it was checked
        copy.touch()
        os.utime(copy, (0, 0))
        with pytest.raises(ExecutorError, match="does not include") as caught:
            make(shop=settings | {"file": str(elsewhere)}).act(call("standby"))
        assert caught.value.effect is Effect.ABSENT
        assert not copy.exists()
        assert get(port) == "primary"
