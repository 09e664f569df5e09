"""Customers come in over TLS, to the pool and with the certificate that the proxy was told last."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest

from evals.sandbox import authority
from evals.sandbox.layout import FRONT_DOOR, HOST, POOL_HEADER, SERVER_NAME, VALID_DAYS
from evals.sandbox.routing import active_pool, reload, switch
from evals.sandbox.sandbox import Sandbox
from models.domain.base import utc_now
from service.executors.certificate import CertificateExecutor
from service.executors.traffic import TrafficExecutor
from service.ports import Effect


@contextmanager
def restored(sandbox: Sandbox, eventually) -> Iterator[None]:
    try:
        yield
    finally:
        switch(sandbox.layout, "primary")
        authority.issue(sandbox.layout, timedelta(days=VALID_DAYS))
        reload(sandbox.layout)
        assert eventually(sandbox.serving)


def customers(sandbox: Sandbox, code: str) -> float:
    return sandbox.metrics("loadgen")[f'client_requests_total{{code="{code}"}}']


def test_traffic_is_switched_by_the_executor_and_nobody_is_failed(sandbox: Sandbox, eventually, act) -> None:
    assert eventually(sandbox.serving)
    with restored(sandbox, eventually):
        failed = [customers(sandbox, code) for code in ("502", "503", "error", "tls_failure")]
        assert sandbox.visit().headers[POOL_HEADER] == "primary"
        assert act(TrafficExecutor, "switch", {"router": "shop", "to": "standby"}) is Effect.HAPPENED
        assert active_pool(sandbox.layout) == "standby"
        assert sandbox.visit().headers[POOL_HEADER] == "standby"
        seen = sandbox.metrics("proxy")
        assert seen['proxy_active_pool_info{pool="standby"}'] == 1
        assert seen['proxy_active_pool_info{pool="primary"}'] == 0
        served = 'http_requests_total{code="200",method="GET",path="/products"}'
        assert eventually(lambda: sandbox.metrics("shop-standby").get(served, 0) > 20)
        assert act(TrafficExecutor, "switch", {"router": "shop", "to": "primary"}) is Effect.HAPPENED
        assert [customers(sandbox, code) for code in ("502", "503", "error", "tls_failure")] == failed


def test_an_expired_certificate_turns_all_new_customers_away_until_it_is_renewed(
    sandbox: Sandbox, eventually, act
) -> None:
    assert eventually(sandbox.serving)
    with restored(sandbox, eventually), open_connection(sandbox) as before:
        authority.issue(sandbox.layout, timedelta(hours=-1))
        reload(sandbox.layout)
        assert eventually(lambda: customers(sandbox, "tls_failure") > 20)
        served = customers(sandbox, "200")
        with pytest.raises(httpx.ConnectError, match="expired"):
            sandbox.visit()
        seen = sandbox.metrics("proxy")
        assert seen["proxy_tls_ready"] == 0
        assert seen["proxy_certificate_not_after_seconds"] < utc_now().timestamp()
        # What was connected before is served on: nothing was dropped.
        before.sendall(b"GET /healthz HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert before.recv(4096).startswith(b"HTTP/1.1 200")
        assert customers(sandbox, "200") < served + 20
        assert act(CertificateExecutor, "renew", {"name": "shop"}) is Effect.HAPPENED
        assert sandbox.visit().status_code == 200
        assert sandbox.metrics("proxy")["proxy_tls_ready"] == 1
        assert eventually(lambda: customers(sandbox, "200") > served + 20)


def test_files_that_cannot_be_used_leave_in_force_what_was_read_before(sandbox: Sandbox, eventually) -> None:
    assert eventually(sandbox.serving)
    with restored(sandbox, eventually):
        sandbox.layout.pool_file.write_text('{"pool": "standby"')
        reload(sandbox.layout)
        log = sandbox.layout.log("proxy")
        assert eventually(lambda: "what was read before stays in force" in log.read_text())
        assert sandbox.visit().headers[POOL_HEADER] == "primary"


@contextmanager
def open_connection(sandbox: Sandbox) -> Iterator[ssl.SSLSocket]:
    trusting = ssl.create_default_context(cafile=sandbox.layout.authority[0])
    with (
        socket.create_connection((HOST, sandbox.layout.ports[FRONT_DOOR]), timeout=5) as plain,
        trusting.wrap_socket(plain, server_hostname=SERVER_NAME) as secure,
    ):
        yield secure
