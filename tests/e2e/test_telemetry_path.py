"""A scraped endpoint that falls over: found, repaired and verified by nothing but its telemetry."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

WARMUP = 25
"""Scrapes before a series is scored: five seconds here."""

REPAIR = f"""#!{sys.executable}
from pathlib import Path
Path("broken").unlink()
"""


class Endpoint(ThreadingHTTPServer):
    """Exposes one gauge. While the file `broken` is there it closes connections without an answer."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.broken = folder / "broken"
        self.scrapes = 0


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.scrapes += 1
        if self.server.broken.exists():
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"# TYPE shop_workers gauge\nshop_workers 4\n")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def endpoint(tmp_path):
    with Endpoint(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def suture(endpoint, tmp_path, suture_of):
    """An installation that scrapes the endpoint and may repair it."""
    program = tmp_path / "repair"
    program.write_text(REPAIR)
    program.chmod(0o755)
    suture = suture_of(
        tmp_path,
        executors={"script": {"programs": {"repair": {"path": str(program)}}}},
        scrape=[{"url": f"http://127.0.0.1:{endpoint.server_port}/metrics", "labels": {"service": "shop"}}],
        scrape_interval="200ms",
        detector={"name": "lockstep", "config": {"warmup": WARMUP}},
    )
    suture.runbook(
        "ShopDown",
        uses="script/run",
        arguments={"program": "repair", "args": ["{{ service }}"]},
        trigger='signal.kind == "anomaly" && signal.metric == "up" && signal.direction == "down"',
        query='up{service="shop"}',
    )
    yield suture
    suture.end()


def scraped(suture, endpoint, count):
    """Wait for so many more scrapes."""
    wanted = endpoint.scrapes + count
    suture.until(lambda: True if endpoint.scrapes >= wanted else None, f"{count} scrapes were not made")


def repaired(suture, episode):
    """Wait until the one incident was resolved for the `episode`th time; the incident."""

    def look():
        items = suture.get("/v1/incidents")["items"]
        done = [item for item in items if item["episode"] == episode and item["status"] in ("resolved", "escalated")]
        return suture.incident(done[0]["id"]) if done else None

    return suture.until(look, "no incident was opened and ended")


def test_a_fall_opens_an_incident_by_itself_and_is_known_at_once_after_a_restart(suture, endpoint):
    suture.serve()
    scraped(suture, endpoint, WARMUP + 5)
    assert suture.get("/v1/incidents")["items"] == []
    endpoint.broken.touch()
    incident = repaired(suture, 1)
    assert incident["status"] == "resolved"
    assert not endpoint.broken.exists()
    assert ("anomaly", "up") in [(signal["kind"], signal["metric"]) for signal in incident["signals"]]
    assert suture.executions(incident["id"])[0]["verification"]["checks"][0]["values"] == [1.0]

    suture.process.stop()
    suture.serve()
    endpoint.broken.touch()
    before = endpoint.scrapes
    suture.until(lambda: None if endpoint.broken.exists() else True, "it was not repaired")
    assert endpoint.scrapes - before < WARMUP, "it had to learn anew what is normal"
    assert repaired(suture, 2)["id"] == incident["id"], "the same trouble came back shortly after"


def test_without_a_detector_nothing_is_found(suture, endpoint):
    suture.configure(detector={"name": "off"})
    suture.serve()
    scraped(suture, endpoint, WARMUP + 5)
    endpoint.broken.touch()
    scraped(suture, endpoint, 20)
    assert endpoint.broken.exists()
    assert suture.get("/v1/incidents")["items"] == []
