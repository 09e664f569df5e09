"""The command line and the API of objectives."""

import json

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from service.api import create_api
from service.cli.main import app


@pytest.fixture
def suture(monkeypatch, slo_file, tmp_path):
    monkeypatch.setenv("SUTURE_SLOS", str(slo_file))
    monkeypatch.setenv("SUTURE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("COLUMNS", raising=False)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_lint_shows_every_alert(suture, slo_file):
    answer = suture("slo", "lint", str(slo_file))
    assert answer.exit_code == 0
    assert "page at 14.4 over 1h and 5m" in answer.stdout
    assert "99% latency up to 0.25 over 30d" in answer.stdout


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("target: 99.9%", "target: 99.9", 7, "slos[0].target"),
        ("service: shop\n    labels", "labels", 3, "slos[0].service"),
        ('total: http_requests_total{service="shop"}', "total: rate(http_requests_total[5m])", 9, "no selector"),
        ('errors: http_requests_total{service="shop", code=~"5.."}', "errors: http_requests_total{", 10, "PromQL"),
        ("id: shop-latency", "id: shop-availability", 2, "twice"),
        ("labels: {environment: production}", "label: {}", 6, "slos[0].label"),
        ("'http_seconds{service=\"shop\"}'", "http_seconds offset 5m", 14, "no selector"),
    ],
)
def test_lint_names_the_line(suture, slo_file, before, after, line, words):
    text = slo_file.read_text()
    assert before in text
    slo_file.write_text(text.replace(before, after))
    answer = suture("slo", "lint", str(slo_file))
    assert answer.exit_code == 2
    assert f"{slo_file}:{line}" in answer.stderr
    assert words in answer.stderr


def test_a_wrong_file_is_no_start(suture, slo_file, make_settings):
    from models.domain.errors import BadInput
    from service.app import build_parts

    slo_file.write_text("slos: 3\n")
    with pytest.raises(BadInput, match=r"slos\.yaml:1"):
        build_parts(make_settings(slos=slo_file))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_status_by_command_and_api(suture, shop, database_url, monkeypatch):
    monkeypatch.setenv("SUTURE_DATABASE_URL", database_url)
    shop.rest(30)
    shop.run(3, errors=1.0)
    answer = suture("slo", "status")
    assert answer.exit_code == 0, answer.output
    assert "shop-availability  page" in answer.stdout
    assert "missed" in answer.stdout
    listed = json.loads(suture("slo", "status", "--json").stdout)

    from service.store.keys import Role

    _, key = shop.parts.keys.create("root", Role.VIEWER, "test")
    api = TestClient(create_api(shop.parts))
    answer = api.get("/v1/slos", headers={"Authorization": f"Bearer {key}"}).json()
    assert answer["items"] == listed
    assert answer["problem"] is None
    assert [alert["firing"] for alert in listed[0]["alerts"]][:2] == [True, True]


def test_without_a_file_the_setting_is_named(monkeypatch, installation, tmp_path):
    installation()
    answer = CliRunner().invoke(app, ["slo", "status", "--data", str(tmp_path / "state")])
    assert answer.exit_code == 2
    assert "SUTURE_SLOS" in answer.stderr
