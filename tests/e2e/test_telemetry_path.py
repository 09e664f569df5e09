"""A scraped endpoint that falls over: found, repaired and verified by nothing but its telemetry."""

import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

WARMUP = 15
"""Scrapes before a series is scored."""

REPAIR = f"""#!{sys.executable}
import sys
from pathlib import Path
Path(sys.argv[1] + "-broken").unlink()
"""


class Endpoints(ThreadingHTTPServer):
    """`/shop` and `/vault` expose a gauge each. A broken one closes connections without an answer."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), _Handler)
        self._folder = folder
        self.scrapes = Counter()

    def broken(self, service):
        """The file that breaks one while it is there."""
        return self._folder / f"{service}-broken"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        service = self.path.strip("/")
        self.server.scrapes[service] += 1
        if self.server.broken(service).exists():
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"# TYPE workers gauge\nworkers 4\n")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def endpoints(tmp_path):
    with Endpoints(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def suture(endpoints, tmp_path, suture_of):
    """An installation that scrapes the endpoints and may repair them."""
    program = tmp_path / "repair"
    program.write_text(REPAIR)
    program.chmod(0o755)
    address = f"http://127.0.0.1:{endpoints.server_port}"
    suture = suture_of(
        tmp_path,
        executors={"script": {"programs": {"repair": {"path": str(program), "working_dir": str(tmp_path)}}}},
        scrape=[{"url": f"{address}/{service}", "labels": {"service": service}} for service in ("shop", "vault")],
        scrape_interval="400ms",
        detector={"name": "lockstep", "config": {"warmup": WARMUP}},
    )
    suture.runbook(
        "EndpointDown",
        uses="script/run",
        arguments={"program": "repair", "args": ["{{ service }}"]},
        trigger='signal.kind == "anomaly" && signal.metric == "up" && signal.direction == "down"',
        query='up{service="{{ service }}"}',
    )
    yield suture
    suture.end()


def scraped(suture, endpoints, count):
    """Wait for so many more scrapes of the shop."""
    wanted = endpoints.scrapes["shop"] + count
    suture.until(lambda: True if endpoints.scrapes["shop"] >= wanted else None, f"{count} scrapes were not made")


def found_and_ended(suture, endpoints, service):
    """Break an endpoint; its incident when that has ended, and after how many scrapes it was opened."""
    before = endpoints.scrapes[service]
    endpoints.broken(service).touch()

    def look():
        return next((one for one in suture.get("/v1/incidents")["items"] if service in one["services"]), None)

    opened = suture.until(look, f"nothing was found of {service}")
    took = endpoints.scrapes[service] - before
    return suture.ended(opened["id"]), took


def test_a_fall_opens_an_incident_by_itself_and_is_known_at_once_after_a_restart(suture, endpoints):
    suture.serve()
    scraped(suture, endpoints, WARMUP + 5)
    assert suture.get("/v1/incidents")["items"] == []
    incident, _ = found_and_ended(suture, endpoints, "shop")
    assert incident["status"] == "resolved"
    assert not endpoints.broken("shop").exists()
    assert ("anomaly", "up") in [(signal["kind"], signal["metric"]) for signal in incident["signals"]]
    [execution] = suture.executions(incident["id"])
    assert execution["verification"]["checks"][0]["values"] == [1.0]

    suture.process.stop()
    suture.serve()
    incident, took = found_and_ended(suture, endpoints, "vault")
    assert incident["status"] == "resolved"
    assert took < WARMUP, "it learnt anew what is normal"


def test_without_a_detector_nothing_is_found(suture, endpoints):
    suture.configure(detector={"name": "off"})
    suture.serve()
    scraped(suture, endpoints, WARMUP + 5)
    endpoints.broken("shop").touch()
    scraped(suture, endpoints, 12)
    assert endpoints.broken("shop").exists()
    assert suture.get("/v1/incidents")["items"] == []
