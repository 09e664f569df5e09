"""`suture corpus` as a user types it."""

import json

import pytest

RUNBOOK = "# Warteschlange läuft voll\n\n## Symptome\n\nDie Warteschlange wächst, Nachrichten stauen sich.\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An installation with a quick embedder and two folders, one of which is a source."""
    for name in ("own", "team"):
        (tmp_path / name).mkdir()
    (tmp_path / "own" / "disk.md").write_text("# Disk is full\n\n## Mitigation\n\nRemove old logs.\n")
    (tmp_path / "team" / "queue.md").write_text(RUNBOOK)
    monkeypatch.setenv("SUTURE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SUTURE_RUNBOOKS", json.dumps([str(tmp_path / "own")]))
    monkeypatch.setenv("SUTURE_EMBEDDER__NAME", "hashing")
    return tmp_path


def done(result):
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_a_source_from_adding_to_removing(suture, place):
    assert "it may define actions" in done(suture("corpus", "add", "team", str(place / "team"), "--kind", "folder"))
    synced = json.loads(done(suture("corpus", "sync", "--json")))
    assert (synced["sources"][0]["added"], synced["index"]["added"]) == (1, 2)

    # A runbook in another language is found in its language.
    [first, *_] = json.loads(done(suture("corpus", "search", "Nachrichten stauen sich", "--json")))
    assert (first["document"], first["path"]) == ("team.queue", str(place / "team" / "queue.md"))
    assert RUNBOOK[first["start"] : first["end"]] == first["text"]
    assert first["lexical"] > 0
    assert "team.queue" in done(suture("corpus", "search", "Warteschlange", "--k", "1"))
    assert json.loads(done(suture("corpus", "search", "Warteschlange", "--kind", "postmortem", "--json"))) == []

    stats = json.loads(done(suture("corpus", "stats", "--json")))
    assert (stats["documents"], stats["embedder"], stats["problems"]) == (2, "test-hashing", [])
    assert {(each["source"], each["documents"]) for each in stats["shares"]} == {("(folders)", 1), ("team", 1)}
    assert stats["passages"] == sum(each["passages"] for each in stats["shares"])
    assert stats["bytes_on_disk"] > 0
    assert "team: 1 added" in done(suture("corpus", "stats"))

    shown = done(suture("corpus", "show", "team.queue"))
    assert "source    team" in shown
    assert RUNBOOK in shown
    assert json.loads(done(suture("corpus", "show", "team.queue", "--json")))["text"] == RUNBOOK

    assert "team  folder" in done(suture("corpus", "list"))
    assert "team.queue" in done(suture("runbook", "list"))
    done(suture("corpus", "remove", "team"))
    assert json.loads(done(suture("corpus", "sync", "--json")))["index"]["removed"] == 1
    events = [entry["event"] for entry in json.loads(done(suture("audit", "list", "--json")))]
    assert events == ["corpus.source-added", "corpus.source-removed"]


def test_a_source_that_fails_is_told_the_others_are_synced_and_the_exit_is_1(suture, place):
    (place / "other").mkdir()
    (place / "other" / "net.md").write_text("# Network\n\nCheck the cable.\n")
    for name in ("team", "other"):
        done(suture("corpus", "add", name, str(place / name), "--kind", "folder"))
    done(suture("corpus", "sync"))
    (place / "team").rename(place / "moved")
    (place / "other" / "dns.md").write_bytes(b"# DNS\n\xff")
    result = suture("corpus", "sync")
    assert result.exit_code == 1
    assert "source team: the last sync failed:" in result.stderr
    assert "other/dns.md:2: byte 6 is not UTF-8; save the file as UTF-8" in result.stderr
    assert "other: 0 added" in result.stdout
    assert "team.queue" in done(suture("corpus", "search", "Warteschlange"))


@pytest.mark.parametrize(("words", "told"), [
    (("search", " "), "QUERY: the query is empty"),
    (("search", "disk"), "holds no index; `suture corpus sync` makes it"),
    (("search", "disk", "--kind", "wiki"), "--kind: 'wiki' is none of runbook, postmortem"),
    (("add", "team", "nowhere", "--kind", "folder"), "PLACE: nowhere does not exist"),
])  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(suture, place, words, told):
    result = suture("corpus", *words)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert told in result.stderr


@pytest.mark.parametrize(("words", "told"), [
    (("remove", "tam"), "there is no source 'tam'"),
    (("sync", "tam"), "there is no source 'tam'"),
    (("show", "tam"), "there is no document 'tam'; `suture runbook list` lists them"),
])  # fmt: skip
def test_what_does_not_exist_is_one_line_and_exit_1(suture, place, words, told):
    result = suture("corpus", *words)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert told in result.stderr


def test_actions_of_a_trusted_source_are_known_to_the_other_commands(suture, place):
    from tests.service.corpus_sources.conftest import ACTING

    (place / "team" / "disk.md").write_text(ACTING)
    done(suture("corpus", "add", "team", str(place / "team"), "--kind", "folder"))
    done(suture("corpus", "add", "copy", str(place / "team"), "--kind", "folder", "--no-actions"))
    done(suture("corpus", "sync"))
    listed = json.loads(done(suture("runbook", "list", "--json")))["documents"]
    assert {each["id"]: each["actions"] for each in listed if "disk" in each["id"]} == {
        "disk": [], "fix-disk": ["clean"], "copy.disk": [],
    }  # fmt: skip
    assert "its actions are not offered, copy may not define any" in done(suture("corpus", "stats"))
