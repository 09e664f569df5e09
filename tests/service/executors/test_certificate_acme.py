"""Against Pebble, the test server of Let's Encrypt, as Debian packages it: real orders, challenges and chains."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.ports import Effect, ExecutorError
from tests.service.executors.certificate_parts import Authority, call, make, serial_in, served_serial, tls_server
from tests.service.executors.traffic_parts import free_port, running, until

pytestmark = [
    pytest.mark.needs_apt,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="no pebble: apt-get install pebble"),
]


@dataclass
class Pebble:
    directory: str
    ca: Path
    root: Path
    http_port: int
    folder: Path

    def answers(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(path, context=ssl.create_default_context(cafile=str(self.ca))) as response:
                return response.read()
        except OSError:
            return None


@pytest.fixture(scope="module")
def pebble(tmp_path_factory) -> Iterator[Pebble]:
    folder = tmp_path_factory.mktemp("pebble")
    authority = Authority(folder, "pebble-tls")
    certificate, key = authority.write_pair(folder, "localhost", days=1)
    port, management, http_port = free_port(), free_port(), free_port()
    settings = {
        "listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(certificate), "privateKey": str(key), "httpPort": http_port, "tlsPort": free_port(),
        "ocspResponderURL": "", "externalAccountBindingRequired": False,
    }  # fmt: skip
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    found = Pebble(f"https://localhost:{port}/dir", authority.certificate, folder / "root.pem", http_port, folder)
    # Good nonces are never refused on purpose: the library asks again once, and Pebble may refuse twice.
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["pebble", "-config", str(folder / "pebble.json")], env=environment, stdout=log, stderr=log
        )
    try:
        until(lambda: found.answers(found.directory) is not None, "pebble does not answer")
        found.root.write_bytes(found.answers(f"https://localhost:{management}/roots/0") or b"")
        yield found
    finally:
        process.terminate()
        process.wait(10)


def account_key(folder: Path, kind: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    file = folder / "account.key"
    file.touch(0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


def settings(pebble: Pebble, folder: Path, pair: tuple[Path, Path], reach: dict, **authority) -> dict:
    return {
        "certificate": str(pair[0]), "key": str(pair[1]), "names": ["localhost"], "ca": str(pebble.root), **reach,
        "authority": {
            "kind": "acme", "directory": pebble.directory, "ca": str(pebble.ca), "contact": "ops@shop.example",
            "account_key": f"file:{account_key(folder, 'ec')}",
            "challenge": {"http_port": pebble.http_port, "host": "127.0.0.1"}, **authority,
        },
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_certificate_is_issued_over_acme_and_served(pebble, tmp_path, kind):
    pair = Authority(tmp_path).write_pair(tmp_path, "localhost", days=-1)
    with tls_server(*pair) as reach:
        key = f"file:{account_key(tmp_path, kind)}"
        executor = make(shop=settings(pebble, tmp_path, pair, reach, account_key=key))
        assert f"the ACME authority {pebble.directory}" in executor.dry_run(call())
        before = executor.snapshot(call())
        outputs = executor.act(call(before=before))
        assert outputs["serial"] == served_serial(reach["serves"]) == serial_in(pair[0]) != before["served"]
        assert executor.observe(call(before=before)) is Effect.HAPPENED
        # The account is there already; the port of the challenge is free again.
        assert executor.act(call(key="exec-2:act"))["before_serial"] == outputs["serial"]


def test_the_challenge_can_be_answered_by_a_web_server_of_the_operators(pebble, tmp_path):
    webroot = tmp_path / "www"
    webroot.mkdir()
    argv = [sys.executable, "-m", "http.server", str(pebble.http_port), "--bind", "127.0.0.1", "-d", str(webroot)]
    address = f"http://127.0.0.1:{pebble.http_port}/"
    pair = Authority(tmp_path).write_pair(tmp_path, "localhost")
    with (
        tls_server(*pair) as reach,
        running(argv, lambda: pebble.answers(address) is not None, tmp_path / "www.log", stop=signal.SIGKILL),
    ):
        executor = make(shop=settings(pebble, tmp_path, pair, reach, challenge={"webroot": str(webroot)}))
        assert executor.act(call())["serial"] == served_serial(reach["serves"])
        assert [path for path in webroot.rglob("*") if path.is_file()] == []


def test_a_name_that_cannot_be_shown_is_not_issued_and_nothing_is_installed(pebble, tmp_path):
    pair = Authority(tmp_path).write_pair(tmp_path, "localhost")
    old = [file.read_bytes() for file in pair]
    (tmp_path / "www").mkdir()  # nobody serves it
    with tls_server(*pair) as reach:
        executor = make(shop=settings(pebble, tmp_path, pair, reach, challenge={"webroot": str(tmp_path / "www")}))
        with pytest.raises(ExecutorError, match="localhost") as caught:
            executor.act(call())
    assert caught.value.effect is Effect.ABSENT
    assert [file.read_bytes() for file in pair] == old


def test_a_long_order_is_broken_off_when_a_person_asks_for_it(pebble, tmp_path):
    pair = Authority(tmp_path).write_pair(tmp_path, "localhost")
    log = pebble.folder / "log"
    issued = log.read_text().count("Issued certificate")
    with tls_server(*pair) as reach:
        executor = make(shop=settings(pebble, tmp_path, pair, reach))
        with pytest.raises(ExecutorError, match="asked to stop") as caught:
            executor.act(call(cancelled=lambda: True))
        assert log.read_text().count("Issued certificate") == issued > 0
        assert caught.value.effect is Effect.ABSENT
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", pebble.http_port))


def test_an_authority_that_is_not_there_is_found_by_the_dry_run(pebble, tmp_path):
    pair = Authority(tmp_path).write_pair(tmp_path, "localhost")
    with tls_server(*pair) as reach:
        executor = make(shop=settings(pebble, tmp_path, pair, reach, directory=f"https://localhost:{free_port()}/dir"))
        with pytest.raises(ExecutorError, match="cannot be reached") as caught:
            executor.dry_run(call())
    assert (caught.value.retriable, caught.value.effect) == (True, Effect.ABSENT)
