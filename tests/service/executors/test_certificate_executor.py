import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from models.domain.errors import BadInput
from service.ports import Call, Effect, ExecutorError
from tests.service.executors.certificate_parts import (
    Authority,
    call,
    make,
    serial_in,
    served_serial,
    tls_server,
)


def settings(authority: Authority, pair: tuple[Path, Path], reach: dict, **more) -> dict:
    return {
        "certificate": str(pair[0]),
        "key": str(pair[1]),
        "names": ["shop.local", "127.0.0.1"],
        "authority": {
            "kind": "local", "certificate": str(authority.certificate), "key": f"file:{authority.key_file}", "days": 20,
        },
        "server_name": "shop.local",
        "ca": str(authority.certificate),
        "within": "2s",
        **reach,
        **more,
    }  # fmt: skip


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "candidate" in path.name or "previous" in path.name)


def test_an_expired_certificate_is_renewed_and_clients_are_served_again(tmp_path):
    authority = Authority(tmp_path)
    pair = authority.write_pair(tmp_path, "shop.local", days=-1)
    with tls_server(*pair) as reach:
        client = ssl.create_default_context(cafile=str(authority.certificate))
        address = ("127.0.0.1", int(reach["serves"].split(":")[1]))
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"), socket.create_connection(address) as plain:
            client.wrap_socket(plain, server_hostname="shop.local")
        executor = make(shop=settings(authority, pair, reach))
        old = serial_in(pair[0])
        words = executor.dry_run(call())
        assert f"serial {old}, expired" in words
        assert "the local authority CN=ca" in words
        before = executor.snapshot(call())
        assert before == {"installed": old, "served": old}
        assert executor.observe(call(before=before)) is Effect.ABSENT
        outputs = executor.act(call(before=before))
        assert outputs["before_serial"] == old
        assert outputs["serial"] == served_serial(reach["serves"]) == serial_in(pair[0]) != old
        for name in ("shop.local", "127.0.0.1"):
            with socket.create_connection(address) as plain:
                client.wrap_socket(plain, server_hostname=name).close()
        assert executor.observe(call(before=before)) is Effect.HAPPENED
        assert pair[1].stat().st_mode & 0o777 == 0o600
        assert left_behind(tmp_path) == []


def refuses(executor, the_call, words: str) -> ExecutorError:
    with pytest.raises(ExecutorError, match=words) as caught:
        executor.act(the_call)
    return caught.value


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority, tmp_path) -> tuple[Path, Path]:
    return authority.write_pair(tmp_path, "shop.local")


def contents(pair: tuple[Path, Path]) -> list[bytes]:
    return [file.read_bytes() for file in pair]


def test_an_intermediate_authority_is_served_with_its_chain(tmp_path):
    root = Authority(tmp_path, "root")
    middle = Authority(tmp_path, "middle", parent=root)
    pair = middle.write_pair(tmp_path, "shop.local")
    with tls_server(*pair) as reach:
        outputs = make(shop=settings(middle, pair, reach, ca=str(root.certificate))).act(call())
        assert outputs["serial"] == served_serial(reach["serves"])
    assert pair[0].read_bytes().count(b"BEGIN CERTIFICATE") == 2


def test_an_authority_that_clients_do_not_trust_is_found_before_anything_is_installed(tmp_path, authority, pair):
    stranger = Authority(tmp_path, "stranger")
    old = contents(pair)
    with tls_server(*pair) as reach:
        config = settings(stranger, pair, reach, ca=str(authority.certificate))
        error = refuses(make(shop=config), call(), "a client would not take the certificate")
    assert error.effect is Effect.ABSENT
    assert contents(pair) == old
    assert left_behind(tmp_path) == []


def test_a_server_that_does_not_read_the_new_pair_gets_the_old_one_back(tmp_path, authority, pair):
    old = contents(pair)
    with tls_server(*pair, on_hup="ignore") as reach:
        executor = make(shop=settings(authority, pair, reach, within="0.5s"))
        before = executor.snapshot(call())
        error = refuses(executor, call(before=before), "still serves the serial.*the old pair is in place again")
        assert error.effect is Effect.ABSENT
        assert executor.observe(call(before=before)) is Effect.ABSENT
    assert contents(pair) == old
    assert left_behind(tmp_path) == []


def test_a_server_that_the_reload_ends_leaves_the_effect_unknown_and_the_old_pair(tmp_path, authority, pair):
    old = contents(pair)
    with tls_server(*pair, on_hup="die") as reach:
        executor = make(shop=settings(authority, pair, reach))
        before = executor.snapshot(call())
        error = refuses(executor, call(before=before), "could not be brought back")
        assert error.effect is Effect.UNKNOWN
        assert executor.observe(call(before=before)) is Effect.UNKNOWN
    assert contents(pair) == old


SERVICE = """
import json, sys
from tests.service.executors.certificate_parts import call, make
settings, before = json.load(sys.stdin)
make(shop=settings).act(call(before=before))
"""
KILLS_ITS_PARENT = {"argv": [sys.executable, "-c", "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"]}


def test_a_service_killed_before_the_reload_goes_on_without_a_second_certificate(tmp_path, authority, pair):
    with tls_server(*pair) as reach:
        config = settings(authority, pair, reach)
        executor = make(shop=config)
        before = executor.snapshot(call())
        told = json.dumps([config | {"reload": KILLS_ITS_PARENT}, before])
        killed = subprocess.run([sys.executable, "-c", SERVICE], input=told, text=True, check=False)
        assert killed.returncode == -signal.SIGKILL
        installed = contents(pair)
        assert serial_in(pair[0]) != before["installed"] == served_serial(reach["serves"])
        assert executor.observe(call(before=before)) is Effect.UNKNOWN, "the next reload would serve it"
        outputs = executor.act(call(before=before))
        assert contents(pair) == installed
        assert outputs["before_serial"] == before["installed"]
        assert outputs["serial"] == served_serial(reach["serves"])
        assert executor.observe(call(before=before)) is Effect.HAPPENED
    assert left_behind(tmp_path) == []


def test_a_crash_between_the_two_files_is_mended_by_another_attempt(tmp_path, authority, pair):
    with tls_server(*pair) as reach:
        executor = make(shop=settings(authority, pair, reach))
        before = executor.snapshot(call())
        other = tmp_path / "other"
        other.mkdir()
        pair[1].write_bytes(authority.write_pair(other, "shop.local")[1].read_bytes())
        assert executor.observe(call(before=before)) is Effect.UNKNOWN, "the server cannot start any more"
        outputs = executor.act(call(before=before))
        assert outputs["serial"] == served_serial(reach["serves"]) == serial_in(pair[0])


def test_an_authority_that_cannot_issue_is_found_by_the_dry_run(tmp_path, authority, pair):
    expired = Authority(tmp_path, "expired", days=-1)
    with tls_server(*pair) as reach:
        with pytest.raises(ExecutorError, match="not valid now"):
            make(shop=settings(expired, pair, reach)).dry_run(call())
        mixed = settings(authority, pair, reach)
        mixed["authority"] |= {"key": f"file:{expired.key_file}"}
        with pytest.raises(ExecutorError, match="is not that of"):
            make(shop=mixed).dry_run(call())
        executor = make(shop=settings(authority, pair, reach))
        authority.key_file.unlink()
        error = refuses(executor, call(), "cannot be read")
        assert error.effect is Effect.ABSENT


def test_a_file_that_cannot_be_read_is_no_change(tmp_path, authority, pair):
    executor = make(shop=settings(authority, pair, {"serves": "127.0.0.1:1"}))
    pair[1].unlink()
    pair[1].mkdir()
    assert refuses(executor, call(), "key.pem cannot be read").effect is Effect.ABSENT


def test_an_acme_authority_that_falls_silent_is_left_when_the_time_is_over(authority, pair):
    pytest.importorskip("acme")
    raised = []

    def attempt(executor) -> None:
        with pytest.raises(ExecutorError, match="cannot be reached") as caught:
            executor.act(call(timeout=0.5))
        raised.append(caught.value)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        directory = f"https://127.0.0.1:{silent.getsockname()[1]}/dir"
        acme = {"kind": "acme", "directory": directory, "account_key": f"file:{authority.key_file}"}
        acme["challenge"] = {"http_port": 5002}
        reach = {"serves": "127.0.0.1:1", "authority": acme}
        thread = threading.Thread(target=attempt, args=(make(shop=settings(authority, pair, reach)),), daemon=True)
        thread.start()
        thread.join(12)  # without an end of the call's own it would be 20 s
        assert [(error.effect, error.retriable) for error in raised] == [(Effect.ABSENT, True)]


def test_the_authoritys_key_is_in_no_words(tmp_path, authority, pair, caplog):
    caplog.set_level("DEBUG")
    secret = authority.key_file.read_text().splitlines()[1]
    with tls_server(*pair) as reach:
        executor = make(shop=settings(authority, pair, reach))
        authority.key_file.write_text(f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n")
        error = refuses(executor, call(), "not a PEM private key")
        told = f"{error!r} {error.__cause__!r} {caplog.text} {executor.snapshot(call())}"
    assert secret not in told


def test_a_new_server_gets_its_first_certificate(tmp_path, authority):
    pair = (tmp_path / "chain.pem", tmp_path / "key.pem")
    other = tmp_path / "served"
    other.mkdir()
    old = authority.write_pair(other, "shop.local")
    with tls_server(*old) as reach:
        copies = f"import os, shutil, signal; [shutil.copy(a, {str(other)!r}) for a in {[str(p) for p in pair]}];"
        tells = f"os.kill(int(open({reach['reload']['pid_file']!r}).read()), signal.SIGHUP)"
        reload = {"argv": [sys.executable, "-c", copies + tells]}
        executor = make(shop=settings(authority, pair, {**reach, "reload": reload}))
        assert "there is none yet" in executor.dry_run(call())
        outputs = executor.act(call())
        assert outputs["before_serial"] is None
        assert outputs["serial"] == served_serial(reach["serves"])
    assert pair[1].stat().st_mode & 0o777 == 0o600


def test_what_is_not_configured_is_refused(authority, pair):
    executor = make(shop=settings(authority, pair, {"serves": "127.0.0.1:1"}))
    for name in ("other", "../shop"):
        with pytest.raises(ExecutorError) as caught:
            executor.act(Call("k", "renew", {"name": name}, timedelta(seconds=5)))
        assert caught.value.effect is Effect.ABSENT
    assert executor.target("renew", {"name": "shop"}) == "certificate:shop"
    assert executor.observe(call(before={"served": "a", "installed": "a"})) is Effect.UNKNOWN


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"certificate": "chain.pem"}, "absolute"),
        ({"names": ["not a name"]}, "DNS name"),
        ({"names": []}, "names"),
        ({"serves": "127.0.0.1"}, "serves"),
        ({"ca": "/no/such.pem"}, "ca"),
        ({"authority": {"kind": "other"}}, "authority"),
        (
            {"authority": {"kind": "acme", "directory": "http://x/dir", "account_key": "env:X", "challenge": {}}},
            "directory",
        ),
    ],
)
def test_wrong_settings_are_refused_with_their_key(authority, pair, change, words):
    with pytest.raises(BadInput, match=words):
        make(shop=settings(authority, pair, {"serves": "127.0.0.1:1"}) | change)


def test_a_secret_that_is_not_there_stops_the_start(authority, pair):
    config = settings(authority, pair, {"serves": "127.0.0.1:1"})
    config["authority"] |= {"key": "file:/no/such/key"}
    with pytest.raises(BadInput) as caught:
        make(shop=config)
    assert caught.value.where == "executors.certificate.certificates.shop.authority.key"
