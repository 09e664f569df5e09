"""An authority of the test's own, and a real TLS server in a process of its own that reads its pair on SIGHUP."""

import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from models.domain.base import utc_now
from service.executors.certificate import CertificateExecutor
from service.ports import Call, Context
from service.security.secrets import resolve_secret
from tests.service.executors.traffic_parts import free_port, running

CONTEXT = Context(clock=utc_now, secret=resolve_secret)

SERVER = """
import asyncio, os, signal, ssl, sys
certificate, key, port, pid_file, on_hup = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
def reload():
    if on_hup == "load":
        context.load_cert_chain(certificate, key)
    elif on_hup == "die":
        os._exit(3)
async def main():
    async def handle(_, writer):
        writer.close()
    server = await asyncio.start_server(handle, "127.0.0.1", int(port), ssl=context)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    with open(pid_file, "w") as file:
        file.write(str(os.getpid()))
    await server.serve_forever()
asyncio.run(main())
"""


class Authority:
    """A root of its own, as two files; `signed` makes a certificate with it, good or bad."""

    def __init__(self, folder: Path, name: str = "ca", *, days: int = 30, parent: "Authority | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate, self.key_file = folder / f"{name}.pem", folder / f"{name}.key"
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = parent or self
        builder = _builder(self.subject, issuer.subject, self.key, days=days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_may_sign(), critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if parent is not None:
            above = x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.key.public_key())
            builder = builder.add_extension(above, critical=False)
        own = builder.sign(issuer.key, SHA256()).public_bytes(Encoding.PEM)
        self.certificate.write_bytes(own + (parent.certificate.read_bytes() if parent else b""))
        self.key_file.touch(0o600)
        self.key_file.write_bytes(_pem(self.key))

    def write_pair(self, folder: Path, *names: str, days: float = 1) -> tuple[Path, Path]:
        """A pair that was issued earlier; `days` below 0: it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(x509.Name([]), self.subject, key, days=days)
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        leaf = builder.add_extension(alternative, critical=True).sign(self.key, SHA256())
        certificate, key_file = folder / "chain.pem", folder / "key.pem"
        certificate.write_bytes(leaf.public_bytes(Encoding.PEM))
        key_file.touch(0o600)
        key_file.write_bytes(_pem(key))
        return certificate, key_file


def _builder(subject, issuer, key, *, days: float) -> x509.CertificateBuilder:
    ends = utc_now() + timedelta(days=days)
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(ends - timedelta(days=40)).not_valid_after(ends)
    )  # fmt: skip


def _may_sign() -> x509.KeyUsage:
    return x509.KeyUsage(False, False, False, False, False, True, True, False, False)


def _pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@contextmanager
def tls_server(certificate: Path, key: Path, *, on_hup: str = "load") -> Iterator[dict]:
    """Serves the pair; gives the settings that reach it. `on_hup`: load, ignore or die."""
    port, pid_file = free_port(), certificate.parent / "server.pid"
    argv = [sys.executable, "-c", SERVER, str(certificate), str(key), str(port), str(pid_file), on_hup]
    ready = lambda: pid_file.exists() and pid_file.read_text() != ""  # noqa: E731
    with running(argv, ready, certificate.parent / "server.log", stop=signal.SIGKILL):
        yield {"serves": f"127.0.0.1:{port}", "reload": {"signal": "HUP", "pid_file": str(pid_file)}}


def make(**certificates: dict) -> CertificateExecutor:
    return CertificateExecutor.build({"certificates": certificates}, CONTEXT)


def call(*, key: str = "exec-1:act", timeout: float = 20, **more) -> Call:
    return Call(key, "renew", {"name": "shop"}, timedelta(seconds=timeout), **more)


def served_serial(serves: str) -> str:
    """Asked without any of the executor's code."""
    host, port = serves.split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=5) as plain, context.wrap_socket(plain) as secure:
        return format(x509.load_der_x509_certificate(secure.getpeercert(True)).serial_number, "x")


def serial_in(file: Path) -> str:
    return format(x509.load_pem_x509_certificates(file.read_bytes())[0].serial_number, "x")
