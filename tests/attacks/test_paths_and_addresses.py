"""Ways out: of folders by links and dots, and of the allow-list of addresses by names, redirects and answers."""

from __future__ import annotations

import gzip
import socket
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.domain.base import utc_now
from models.domain.errors import BadInput
from models.domain.runbook import Check
from runbooks.loader import load_corpus
from service.checks import measure
from service.cli.main import app
from service.executors.http import HttpExecutor
from service.executors.script import ScriptExecutor
from service.ports import Call, Context, ExecutorError
from service.security.secrets import resolve_secret
from tests.attacks.payloads import PATHS

FAMILY = "paths and addresses"
CONTEXT = Context(clock=utc_now, secret=resolve_secret)

FORBIDDEN = {
    "metadata": "169.254.169.254", "metadata by IPv6": "fd00:ec2::254", "Google metadata": "fd20:ce::254",
    "Azure": "168.63.129.16", "Alibaba": "100.100.100.200", "Oracle": "192.0.0.192", "link-local": "169.254.1.1",
    "link-local by IPv6": "fe80::1", "mapped": "::ffff:169.254.169.254", "6to4": "2002:a9fe:a9fe::1",
    "NAT64": "64:ff9b::a9fe:a9fe", "this network": "0.0.0.0", "unspecified": "::", "broadcast": "255.255.255.255",
    "multicast": "224.0.0.1", "multicast by IPv6": "ff02::1", "reserved": "240.0.0.1",
}  # fmt: skip
PRIVATE = {
    "loopback": "127.0.0.1", "loopback range": "127.8.8.8", "loopback by IPv6": "::1", "ten": "10.0.0.1",
    "class B": "172.16.0.1", "class C": "192.168.1.1", "carrier": "100.64.0.1", "unique local": "fd12::1",
    "site-local": "fec0::1", "mapped loopback": "::ffff:127.0.0.1", "NAT64 loopback": "64:ff9b::7f00:1",
}  # fmt: skip
SPELLINGS = {
    "decimal": "2130706433", "octal": "0177.0.0.1", "hexadecimal": "0x7f000001", "short": "127.1", "zero": "0",
    "metadata decimal": "2852039166", "metadata hexadecimal": "0xa9fea9fe", "metadata octal": "0251.0376.0251.0376",
    "trailing dot": "127.0.0.1.", "localhost": "localhost", "localhost dot": "localhost.",
    "full width": "\uff11\uff12\uff17.0.0.1", "circled": "\u2460\u2461\u2466.0.0.1",
    "ideographic dots": "127\u30020\u30020\u30021", "zero width": "local\u200bhost",
    "user info": "good.test@127.0.0.1", "user info with port": "good.test:80@169.254.169.254",
    "fragment": "127.0.0.1#good.test",
    "backslash": "good.test\\@127.0.0.1", "blank": "127.0.0.1 good.test", "line end": "good.test\r\nHost: x",
    "bracket": "[::ffff:127.0.0.1]", "zone": "[fe80::1%25eth0]", "nip": "127.0.0.1%2f", "empty": "",
}  # fmt: skip


def executor(base_url: str, **options) -> HttpExecutor:
    return HttpExecutor.build({"targets": {"shop": {"base_url": base_url, **options}}}, CONTEXT)


def get(path: str = "/x", seconds: float = 5) -> Call:
    return Call("k", "get", {"target": "shop", "path": path}, timedelta(seconds=seconds))


@pytest.fixture
def resolver(monkeypatch):
    """Makes names answer as an attacker's name server would; counts the questions. Nothing else is reached."""
    asked: list[str] = []
    connected: list[str] = []

    def resolve(*answers: str) -> tuple[list[str], list[str]]:
        def look_up(host, port, *args, **options):
            asked.append(host)
            each = answers[min(len(asked), len(answers)) - 1]
            family = socket.AF_INET6 if ":" in each else socket.AF_INET
            return [(family, socket.SOCK_STREAM, 6, "", (each, port or 80))]

        def connect(address, *args, **options):
            connected.append(address[0])
            raise ConnectionRefusedError("nothing is connected to in this test")

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(socket, "create_connection", connect)
        return asked, connected

    return resolve


@pytest.mark.parametrize("private", [False, True])
def test_a_name_that_leads_to_a_forbidden_address_is_not_connected_to(attack, resolver, private):
    for name, address in {**FORBIDDEN, **({} if private else PRIVATE)}.items():
        _, connected = resolver(address)
        with attack("name", name, private):
            with pytest.raises(ExecutorError):
                executor("http://evil.test", private=private).act(get())
            assert connected == []


def test_a_name_that_answers_otherwise_at_the_second_look_leads_nowhere_new(attack, resolver):
    for first, second in (
        ("93.184.216.34", "127.0.0.1"),
        ("93.184.216.34", "169.254.169.254"),
        ("8.8.8.8", "10.0.0.1"),
    ):
        asked, connected = resolver(first, second)
        asked.clear()
        connected.clear()
        with attack("rebinding", second):
            with pytest.raises(ExecutorError):
                executor("http://evil.test").act(get())
            assert (asked, connected) == (["evil.test"], [first])


@pytest.mark.parametrize("name", SPELLINGS)
def test_no_spelling_of_an_address_is_a_way_around(attack, name, monkeypatch):
    connected: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda *args, **options: connected.append(args))
    with attack("spelling", name):
        with pytest.raises((BadInput, ExecutorError)):
            executor(f"http://{SPELLINGS[name]}").act(get(seconds=2))
        assert connected == []


def test_a_check_asks_no_forbidden_address_whatever_a_label_says(attack, resolver):
    for name, address in FORBIDDEN.items():
        for host in ("evil.test", f"[{address}]" if ":" in address else address):
            _, connected = resolver(address)
            with attack("check", name, host):
                check = Check.model_validate({"http": f"http://{host}/healthz", "is": "== 200"})
                result = measure(check, None, clock=utc_now)  # type: ignore[arg-type]
                assert result.passed is None
                assert "never allowed" in result.detail
                assert connected == []
    asked, connected = resolver("10.0.0.1", "169.254.169.254")
    asked.clear()
    with attack("check", "rebinding"):
        measure(Check.model_validate({"http": "http://evil.test/", "is": "== 200"}), None, clock=utc_now)  # type: ignore[arg-type]
        assert connected == ["10.0.0.1"]


REDIRECTS = ("http://127.0.0.1:1/", "http://169.254.169.254/latest/", "//evil.test/", "/admin", "file:///etc/passwd",
             "gopher://127.0.0.1:25/", "http://[::1]/")  # fmt: skip


def test_a_redirect_is_an_answer_and_no_order(attack, target):
    for status in (301, 302, 303, 307, 308):
        for place in REDIRECTS:
            target.reached.clear()
            target.answer = lambda _, status=status, place=place: (status, {"Location": place}, b"")
            with attack("redirect", status, place):
                with pytest.raises(ExecutorError):
                    executor(target.url, private=True).act(get())
                result = measure(
                    Check.model_validate({"http": f"{target.url}/healthz", "is": "== 200"}), None, clock=utc_now  # type: ignore[arg-type]
                )  # fmt: skip
                assert result.passed is False
                assert [one.path for one in target.reached] == ["/x", "/healthz"]


ANSWERS = {
    "gzip bomb": lambda: (200, {"Content-Encoding": "gzip"}, gzip.compress(b"0" * 50_000_000)),
    "deflate announced": lambda: (200, {"Content-Encoding": "deflate"}, b"\x78\x9c" + b"\x00" * 1_000),
    "large": lambda: (200, {}, b"0" * 20_000_000),
    "deep JSON": lambda: (200, {"Content-Type": "application/json"}, b"[" * 50_000),
    "unknown charset": lambda: (200, {"Content-Type": "text/plain; charset=evil"}, b"\xff" * 1_000),
    "utf-7": lambda: (200, {"Content-Type": "text/html; charset=utf-7"}, b"+ADw-script+AD4-"),
    "long header": lambda: (200, {"X-Long": "a" * 60_000}, b"ok"),
    "wrong length": lambda: (200, {"Content-Length": "99999999"}, b"short"),
    "not JSON": lambda: (200, {"Content-Type": "application/json"}, b"{NaN: Infinity"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_stays_within_time_and_size(attack, target, name):
    answer = ANSWERS[name]()
    target.answer = lambda _: answer
    with attack("answer", name):
        began = time.process_time()
        with suppress(ExecutorError):
            outputs = executor(target.url, private=True, outputs={"body": "response.body"}).act(get(seconds=2))
            assert len(outputs["body"]) <= 65_536
            assert len(str(outputs["values"])) <= 200_000
        assert time.process_time() - began < 2


def test_a_document_outside_the_folder_is_not_read(attack, tmp_path):
    folder, outside = tmp_path / "runbooks", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret.md").write_text("# Secret\nthe-secret-words\n")
    links = {
        "file": ("link.md", outside / "secret.md"), "folder": ("folder", outside),
        "relative": ("up.md", "../outside/secret.md"),
        "absolute": ("passwd.md", "/etc/passwd"), "device": ("zero.md", "/dev/zero"), "itself": ("loop.md", "loop.md"),
        "parent": ("parent", ".."), "process": ("self.md", "/proc/self/environ"),
        "through": ("through.md", "folder/secret.md"),
    }  # fmt: skip
    for name, (link, to) in links.items():
        (folder / link).symlink_to(to)
        with attack("link", name):
            corpus = load_corpus([folder])
            assert corpus.documents == ()
    (folder / "good.md").write_text("# Good\n")
    assert [document.id for document in load_corpus([folder]).documents] == ["good"]


def test_a_new_runbook_stays_in_its_folder(attack, tmp_path, monkeypatch):
    place = tmp_path / "inner" / "runbooks"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    for name, path in {**PATHS, "id of dots": "..", "blank": " ", "nul": "x\x00y", "option": "--data=/etc"}.items():
        with attack("suture runbook new", name):
            CliRunner().invoke(app, ["runbook", "new", path])
            assert not [each for each in tmp_path.rglob("*") if each.is_file() and not each.is_relative_to(place)]


def test_a_program_that_is_not_the_one_of_the_settings_does_not_run(attack, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    ran = folder / "ran"
    good = folder / "good"

    def program(path: Path, mode: int = 0o755) -> Path:
        path.write_text(f"#!/bin/sh\ntouch {ran}\n")
        path.chmod(mode)
        return path

    def run(path: Path | str, name: str = "good") -> None:
        executor = ScriptExecutor.build({"programs": {"good": {"path": str(path)}}}, CONTEXT)
        executor.act(Call("k", "run", {"program": name, "args": []}, timedelta(seconds=5)))

    (tmp_path / "elsewhere").mkdir(mode=0o755)
    program(good)
    link = folder / "link"
    link.symlink_to(program(tmp_path / "elsewhere" / "evil"))
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    cases: dict[str, tuple[Path | str, str]] = {
        "link out of the folder": (link, "good"),
        "everybody may write it": (program(folder / "loose", 0o757), "good"),
        "everybody may write its folder": (program(open_folder / "x"), "good"),
        "not executable": (program(folder / "text", 0o644), "good"),
        "folder": (folder, "good"),
        "device": ("/dev/null", "good"),
        "relative": ("bin/good", "good"),
        "dots": (f"{folder}/../bin/good", "good"),
        "missing": (folder / "missing", "good"),
        **{f"name: {key}": (good, value) for key, value in PATHS.items()},
        "name: path": (good, str(good)),
        "name: shell": (good, "sh"),
        "name: look-alike": (good, "g\u043eod"),
    }
    for name, (path, wanted) in cases.items():
        with attack("program", name):
            with pytest.raises((BadInput, ExecutorError)):
                run(path, wanted)
            assert not ran.exists()
    with attack("program", "replaced by a link after the start"):
        executor = ScriptExecutor.build({"programs": {"good": {"path": str(good)}}}, CONTEXT)
        good.unlink()
        good.symlink_to(tmp_path / "elsewhere" / "evil")
        with pytest.raises(ExecutorError):
            executor.act(Call("k", "run", {"program": "good", "args": []}, timedelta(seconds=5)))
        assert not ran.exists()


def test_a_secret_file_is_a_small_regular_file_by_its_whole_path(attack, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(b"x" * 70_000)
    paths = (
        "secret",
        "../secret",
        "~/secret",
        str(tmp_path),
        str(large),
        "/dev/zero",
        "/dev/stdin",
        "/etc/hosts\x00",
        "",
    )
    for reference in (*(f"file:{path}" for path in paths), "file:", "FILE:/etc/hosts"):
        with attack("secret file", reference), pytest.raises(BadInput):
            resolve_secret(reference)
