import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from service.api import create_api
from service.security.auth import ADMIN_KEY_FILE, bootstrap, role_needed
from service.store.keys import Role

OPEN = {"/livez", "/readyz", "/metrics"}


def routes(app):
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for method in route.methods:
                yield method, route


def test_every_route_but_three_needs_a_key(api):
    checked = 0
    for method, route in routes(create_api(api.parts)):
        answer = api.client.request(method, route.path.replace("{id}", "x"))
        if route.path in OPEN:
            assert answer.status_code != 401
        else:
            assert answer.status_code == 401, route.path
            assert answer.headers["www-authenticate"].startswith("Bearer")
            checked += 1
    assert checked > 20


def test_every_route_refuses_the_role_below(api):
    for method, route in routes(create_api(api.parts)):
        needed = role_needed(route)
        if needed is None or needed is Role.VIEWER:
            continue
        below = list(Role)[list(Role).index(needed) - 1]
        answer = api.client.request(method, route.path.replace("{id}", "x"), headers=api.as_role(below))
        assert answer.status_code == 403, route.path
        assert f"role {needed}" in answer.json()["detail"]


@pytest.mark.parametrize("header", ["Bearer", "Basic eDp5", "Bearer sut_nope_nope", "Bearer x", "sut_a_b", "Bearer  "])
def test_what_is_no_key(api, header):
    answer = api.client.get("/v1/incidents", headers={"Authorization": header})
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


def test_a_strangers_body_is_not_parsed(api):
    answer = api.client.post("/v1/signals", content="{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 401


def test_a_key_stops_working_when_it_is_revoked(api):
    answer = api("POST", "/v1/keys", json={"name": "alertmanager", "role": "viewer"})
    assert answer.status_code == 201
    created = answer.json()
    headers = {"Authorization": f"Bearer {created['text']}"}
    assert api.client.get("/v1/incidents", headers=headers).status_code == 200
    assert api("DELETE", f"/v1/keys/{created['key']['id']}").status_code == 204
    assert api.client.get("/v1/incidents", headers=headers).status_code == 401
    assert api("DELETE", f"/v1/keys/{created['key']['id']}").status_code == 404


def test_the_list_of_keys_shows_no_secrets(api):
    text = api("POST", "/v1/keys", json={"name": "a", "role": "viewer"}).json()["text"]
    listed = api("GET", "/v1/keys").text
    assert text.rsplit("_", 1)[1] not in listed
    assert "digest" not in listed


def test_the_first_start_makes_one_admin_key(make_parts, tmp_path, caplog):
    parts = make_parts()
    file = bootstrap(parts.keys, tmp_path)
    assert file == tmp_path / ADMIN_KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text().strip()
    assert parts.keys.authenticate(text).role is Role.ADMIN
    assert text not in caplog.text
    assert bootstrap(parts.keys, tmp_path) is None
    assert len(parts.keys.all()) == 1


def test_replicas_that_start_together_make_one_admin_key(make_parts, tmp_path):
    parts = make_parts()
    folders = [tmp_path / str(number) for number in range(8)]
    with ThreadPoolExecutor(len(folders)) as pool:
        made = list(pool.map(lambda folder: bootstrap(parts.keys, folder), folders))
    assert len(parts.keys.all()) == 1
    assert len([file for file in made if file]) == 1
    assert len(list(tmp_path.glob(f"*/{ADMIN_KEY_FILE}"))) == 1


def test_a_crash_while_the_first_key_is_written_is_mended(make_parts, tmp_path):
    parts = make_parts()
    parts.keys.create("admin", Role.ADMIN, "suture")
    (tmp_path / ADMIN_KEY_FILE).touch(mode=0o644)
    file = bootstrap(parts.keys, tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert parts.keys.authenticate(file.read_text().strip()).role is Role.ADMIN
