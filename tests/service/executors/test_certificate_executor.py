import socket
import ssl
from pathlib import Path

import pytest

from service.ports import Effect
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
