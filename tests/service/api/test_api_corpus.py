"""`/v1/corpus`: figures, syncing and searching, over a whole installation."""

from starlette.testclient import TestClient

import service.api.corpus as resource
from service.api import create_api
from service.corpus import source_store
from service.corpus_sources.source import CorpusSource
from service.store.keys import Role


def client_of(one, role=Role.ADMIN):
    _, text = one.parts.keys.create(f"a {role}", role, "test")
    client = TestClient(create_api(one.parts))
    client.headers["Authorization"] = f"Bearer {text}"
    return client


def add(one, name, place):
    source = CorpusSource(
        name=name, kind="folder", place=str(place), actions=True, added_at=one.parts.clock(), added_by="cli:test"
    )
    source_store(one.parts.settings).add(source)


def test_a_sync_is_served_at_once_and_counted(installation, make_runbook, tmp_path):
    make_runbook()
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "queue.md").write_text("# Queue lag\n\nConsumers fall behind; restart the slowest.\n")
    one = installation()
    one.parts.corpus.sync()
    add(one, "team", tmp_path / "team")
    add(one, "gone", tmp_path / "nowhere")
    client = client_of(one)
    answer = client.post("/v1/corpus/sync")
    assert answer.status_code == 200, answer.text
    assert [(each["source"], each["state"], each["added"]) for each in answer.json()["sources"]] == [
        ("team", "ok", 1), ("gone", "failed", 0),
    ]  # fmt: skip

    [first, *_] = client.get("/v1/corpus/search", params={"q": "consumers fall behind", "k": 1}).json()["items"]
    document = client.get(f"/v1/runbooks/{first['document']}").json()
    assert document["metadata"]["origin"]["source"] == "team"
    assert document["text"][first["start"] : first["end"]] == first["text"]
    assert client.get("/v1/corpus/search", params={"q": "x", "kind": "postmortem"}).json()["items"] == []

    stats = client.get("/v1/corpus").json()
    assert (stats["documents"], stats["embedder"]) == (2, "test-hashing")
    assert [(each["source"], each["documents"], each["with_actions"]) for each in stats["shares"]] == [
        ("(folders)", 1, 1), ("team", 1, 0),
    ]  # fmt: skip
    [problem] = stats["problems"]
    assert "nowhere does not exist" in problem["message"]
    assert client.post("/v1/corpus/sync", params={"source": "team"}).json()["sources"][0]["unchanged"] == 1


def test_who_may_do_what_and_what_is_refused(installation):
    one = installation()
    viewer, admin = client_of(one, Role.VIEWER), client_of(one)
    assert viewer.get("/v1/corpus").status_code == 200
    assert viewer.get("/v1/corpus/search", params={"q": "disk"}).json() == {"items": []}
    assert viewer.post("/v1/corpus/sync").status_code == 403
    assert admin.post("/v1/corpus/sync", params={"source": "tam"}).status_code == 404
    assert [admin.get("/v1/corpus/search", params=bad).status_code for bad in (
        {}, {"q": ""}, {"q": "x", "k": 0}, {"q": "x", "k": 101}, {"q": "x", "kind": "wiki"},
    )] == [422] * 5  # fmt: skip
    with resource._syncing:
        answer = admin.post("/v1/corpus/sync")
    assert (answer.status_code, "a sync is under way" in answer.json()["detail"]) == (409, True)
