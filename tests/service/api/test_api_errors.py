import logging

import pytest
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from starlette.testclient import TestClient

from service.api import create_api


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"].startswith("urn:suture:problem:")
    assert body["title"]
    assert body["detail"]
    return body


def test_unknown_path(api):
    answer = api("GET", "/v1/nothing")
    assert answer.status_code == 404
    assert problem(answer)["instance"] == "/v1/nothing"


def test_wrong_method_names_the_right_ones(api):
    answer = api("DELETE", "/v1/incidents")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    problem(answer)


def test_malformed_json_is_told_with_its_position(api):
    answer = api("PUT", "/v1/kill-switch", content='{\n  "on": tru\n}', headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "line 2, column 9" in problem(answer)["detail"]


def test_a_body_that_is_not_declared_as_json(api):
    answer = api("PUT", "/v1/kill-switch", content='{"on": true}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert "Content-Type: application/json" in problem(answer)["detail"]
    assert api.parts.kill_switch.is_on() is False


def test_each_wrong_field_has_its_path(api):
    answer = api("POST", "/v1/recommendations", json={"title": "", "signals": [{"kind": "alert", "nmae": "x"}]})
    assert answer.status_code == 422
    paths = {each["path"] for each in problem(answer)["errors"]}
    assert paths == {"$.title", "$.signals[0].name", "$.signals[0].nmae"}


def test_query_parameters_are_named(api):
    answer = api("GET", "/v1/incidents?limit=9999&cursor=!!")
    assert [each["path"] for each in problem(answer)["errors"]] == ["query.limit"]
    answer = api("GET", "/v1/incidents?cursor=!!")
    assert [each["path"] for each in problem(answer)["errors"]] == ["query.cursor"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large(api, declared):
    small = TestClient(create_api(api.parts, max_body_bytes=1000))
    body = b"[" + b" " * 2000 + b"]"
    content = body if declared else iter([body[:900], body[900:]])
    headers = {**api.headers, "Content-Type": "application/json"}
    answer = small.post("/v1/signals", content=content, headers=headers)
    assert answer.status_code == 413
    assert "1000 bytes" in problem(answer)["detail"]


def test_a_deep_body_is_an_error_of_the_sender(api):
    headers = {"Content-Type": "application/json"}
    answer = api("POST", "/v1/signals", content="[" * 100_000, headers=headers)
    assert answer.status_code == 400
    problem(answer)


def fail(error):
    def page(**_):
        raise error

    return page


def test_a_crash_shows_an_id_and_nothing_else(api, caplog, monkeypatch):
    monkeypatch.setattr(api.parts.incidents, "page", fail(RuntimeError("the password is hunter2")))
    with caplog.at_level(logging.ERROR):
        answer = api("GET", "/v1/incidents")
    assert answer.status_code == 500
    body = problem(answer)
    assert "hunter2" not in answer.text
    assert body["error_id"] in caplog.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT secret", {}, Exception("disk I/O error")),
        InterfaceError("SELECT secret", {}, Exception("the connection is closed")),
        NoFreeConnection("QueuePool limit of size 10 overflow 20 reached"),
    ],
)
def test_a_database_that_does_not_answer_is_unavailable(api, monkeypatch, error):
    monkeypatch.setattr(api.parts.incidents, "page", fail(error))
    answer = api("GET", "/v1/incidents")
    assert answer.status_code == 503
    assert "SELECT" not in answer.text
    problem(answer)


def test_every_answer_has_safe_headers(api):
    for path in ("/livez", "/v1/nothing", "/v1/incidents"):
        headers = api("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("identifier", ["INC-99999999999999999999", "INC-0", "INC-x", "7", "%00", "INC-%E0%A4%A4"])
def test_strange_identifiers_name_nothing(api, identifier):
    assert api("GET", f"/v1/incidents/{identifier}").status_code in (404, 422)
