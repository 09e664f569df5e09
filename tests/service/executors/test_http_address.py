"""Where requests of the `http` executor may go, and where never."""

import socket
import ssl
import subprocess
import threading
import time
from datetime import timedelta

import pytest

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.http import HttpExecutor
from service.ports import Call, Context, Effect, ExecutorError

CONTEXT = Context(clock=utc_now, secret=lambda reference: reference)


def make(base_url: str, **target) -> HttpExecutor:
    return HttpExecutor.build({"targets": {"there": {"base_url": base_url, **target}}}, CONTEXT)


def get(timeout: float = 5, verb: str = "get") -> Call:
    return Call("k", verb, {"target": "there", "path": "/x"}, timedelta(seconds=timeout))


def names(monkeypatch, table: dict[str, list[list[str]]]) -> list[str]:
    """Stands in for the resolver: each look-up of a name takes the next of its answers. Returns what was asked."""
    asked: list[str] = []

    def look_up(host, port, *_, **__):
        if host not in table:
            return real(host, port, type=socket.SOCK_STREAM)
        asked.append(host)
        answer = table[host].pop(0) if len(table[host]) > 1 else table[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


NEVER = [
    "169.254.169.254", "169.254.0.1", "[fe80::1]", "[fd00:ec2::254]", "224.0.0.1", "[ff02::1]", "0.0.0.0", "[::]",
    "255.255.255.255", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "100.100.100.200",
    "168.63.129.16", "0.1.2.3",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1",
    "10.0.0.7",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "[::1]",
    "[fd12::1]",
    "[::ffff:10.0.0.7]",
]


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_allowed(monkeypatch, address):
    with pytest.raises(BadInput, match=r"targets\.there: base_url: .* never allowed"):
        make(f"http://{address}:8080", private=True)
    names(monkeypatch, {"innocent.example": [[address.strip("[]")]]})
    with pytest.raises(ExecutorError, match=r"innocent\.example: .* never allowed") as caught:
        make("http://innocent.example", private=True).act(get())
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_to_be_meant(monkeypatch, address):
    with pytest.raises(BadInput, match="say private: true where that is meant"):
        make(f"http://{address}")
    make(f"http://{address}", private=True)
    names(monkeypatch, {"innocent.example": [["93.184.216.34", address.strip("[]")]]})
    executor = make("http://innocent.example")
    for method in (executor.act, executor.dry_run):
        with pytest.raises(ExecutorError, match="say private: true") as caught:
            method(get())
        assert caught.value.effect is Effect.ABSENT


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "127.1"])
def test_odd_spellings_of_this_machine_are_judged_by_what_they_mean(spelling):
    with pytest.raises(ExecutorError, match="say private: true"):
        make(f"http://{spelling}").act(get())


def test_a_name_that_changes_its_address_after_it_was_judged_leads_nowhere_new(loopback, monkeypatch):
    port = loopback.url.rpartition(":")[2]
    asked = names(monkeypatch, {"rebinding.example": [["127.0.0.1"], ["169.254.169.254"]]})
    make(f"http://rebinding.example:{port}", private=True).act(get())
    assert asked == ["rebinding.example"], "it was looked up once: what was judged is what was connected to"
    assert loopback.received[0].headers["host"] == f"rebinding.example:{port}"


def test_the_next_address_is_tried_where_one_does_not_answer(loopback, monkeypatch):
    port = loopback.url.rpartition(":")[2]
    names(monkeypatch, {"two.example": [["127.0.0.2", "127.0.0.1"]]})  # the server listens on the second alone
    assert make(f"http://two.example:{port}", private=True).act(get())["status"] == 200


def test_a_resolver_that_hangs_does_not_hang_the_act(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(20) and [])
    try:
        with pytest.raises(ExecutorError, match="was not looked up in time") as caught:
            make("http://slow.example").act(get(timeout=0.2))
    finally:
        release.set()
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, True)


def test_a_name_that_there_is_not_may_be_there_later(monkeypatch):
    def nobody(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(ExecutorError, match=r"gone\.example cannot be looked up: Name or service") as caught:
        make("http://gone.example").act(get())
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://gооgle.example", "host in ASCII"),  # noqa: RUF001  (two Cyrillic letters)
        ("http://example。com", "ASCII|NFKC"),
        ("http://①②⑦.0.0.1", "ASCII|NFKC"),
        ("http://good\\.evil.example", "host of letters"),
        ("http://a b", "space|host"),
        ("http://xn--a", "valid IDNA"),
        ("http://-x.example", "host of letters"),
        ("http://0177.0.0.1", "is no address"),
    ],
)
def test_hosts_that_look_like_others_are_refused(url, words):
    with pytest.raises(BadInput, match=words):
        make(url)
    make("http://xn--mnchen-3ya.example")


class TestMidAct:
    """A server that stops half-way, on a socket of its own."""

    @pytest.fixture
    def half(self):
        """Starts a server that sends the given bytes with a pause between them, then nothing."""
        sockets = []

        def start(pieces: list[bytes], pause: float) -> str:
            server = socket.create_server(("127.0.0.1", 0))
            sockets.append(server)

            def serve() -> None:
                try:
                    peer, _ = server.accept()
                    with peer:
                        peer.recv(65536)
                        for piece in pieces:
                            peer.sendall(piece)
                            time.sleep(pause)
                except OSError:
                    return  # the test has what it wanted

            threading.Thread(target=serve, daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}"

        yield start
        for server in sockets:
            server.close()

    @pytest.mark.parametrize(
        ("verb", "effect", "retriable"), [("post", Effect.UNKNOWN, False), ("get", Effect.ABSENT, True)]
    )
    def test_headers_that_drip_end_at_the_timeout_of_the_whole_act(self, half, verb, effect, retriable):
        url = half([b"HTTP/1.1 200 OK\r\n", *[b"X-A: 1\r\n"] * 400], 0.05)
        started = time.monotonic()
        with pytest.raises(ExecutorError, match="not complete in time") as caught:
            make(url, private=True).act(get(0.4, verb))
        assert time.monotonic() - started < 10, "it waited for the whole answer, which takes 20 s"
        assert (caught.value.effect, caught.value.retriable) == (effect, retriable)

    def test_an_answer_that_ends_half_way_leaves_a_post_open(self, half):
        url = half([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"], 0)
        with pytest.raises(ExecutorError, match="there broke off") as caught:
            make(url, private=True).act(get(verb="post"))
        assert caught.value.effect is Effect.UNKNOWN

    def test_what_is_no_http_is_said(self, half):
        with pytest.raises(ExecutorError, match="there broke off") as caught:
            make(half([b"220 mail.example ESMTP\r\n"], 0), private=True).act(get(verb="post"))
        assert caught.value.effect is Effect.UNKNOWN


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A TLS server for the name `good.example`, with its certificate as its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names_it = ["-subj", "/CN=good.example", "-addext", "subjectAltName=DNS:good.example"]
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key]
    command = ["openssl", "req", "-x509", *new_key, "-days", "2", "-out", certificate, *names_it]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(peer, server_side=True) as tls:
                    tls.recv(65536)
                    tls.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1], certificate
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_a_certificate_is_checked_against_the_name_though_the_connection_goes_to_an_address(served, monkeypatch):
    port, certificate = served
    names(monkeypatch, {"good.example": [["127.0.0.1"]], "other.example": [["127.0.0.1"]]})
    trusted = {"private": True, "ca": str(certificate)}
    assert make(f"https://good.example:{port}", **trusted).act(get())["status"] == 204
    for url, more in (
        (f"https://other.example:{port}", trusted),
        (f"https://good.example:{port}", {"private": True}),
    ):
        with pytest.raises(ExecutorError, match="certificate") as caught:
            make(url, **more).act(get())
        assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, False)
