"""Folders as sources: incremental, whole or not at all, and nothing is dropped without a word."""

import os

import pytest

from models.domain.errors import BadInput, NotFound


def counts(outcome):
    return outcome.added, outcome.changed, outcome.removed, outcome.unchanged


def test_only_what_changed_is_read_again(sources, write):
    write("team/disk.md", "# Disk\nold\n")
    write("team/net.md", "# Net\n")
    sources.add("team", "folder", write("team/gone.md", "# Gone\n").parent)
    assert counts(*sources.sync()) == (3, 0, 0, 0)
    before = sources.store.generation()
    write("team/disk.md", "# Disk\nnew\n")
    write("team/new.md", "# New\n")
    write("team/gone.md", "").unlink()
    assert counts(*sources.sync()) == (1, 1, 1, 1)
    assert set(sources.texts()) == {"team.disk", "team.net", "team.new"}
    assert sources.texts()["team.disk"] == "# Disk\nnew\n"
    assert sources.store.generation() != before


def test_a_source_that_is_gone_serves_on_says_why_and_the_others_are_read(sources, write, tmp_path):
    sources.add("first", "folder", write("first/a.md", "# A\n").parent)
    sources.add("second", "folder", write("second/b.md", "# B\n").parent)
    sources.sync()
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    write("second/c.md", "# C\n")
    gone, good = sources.sync()
    assert (gone.state, good.state) == ("failed", "ok")
    assert "first does not exist; mount or restore it" in gone.error
    assert set(sources.texts()) == {"first.a", "second.b", "second.c"}
    [problem] = sources.corpus().problems
    assert str(problem).startswith("source first: the last sync failed:")
    (tmp_path / "elsewhere").rename(tmp_path / "first")
    assert sources.sync("first")[0].state == "ok"
    assert sources.corpus().problems == ()


def test_an_empty_folder_looks_like_a_volume_that_is_not_mounted(sources, write):
    path = write("team/a.md", "# A\n")
    sources.add("team", "folder", path.parent)
    sources.sync()
    path.unlink()
    [outcome] = sources.sync()
    assert "has no Markdown files that can be used; `suture corpus remove team` removes what it had" in outcome.error
    assert set(sources.texts()) == {"team.a"}


@pytest.mark.parametrize(("broken", "words"), [
    (b"# Disk\n\xff\xfe\n", "team/disk.md:2: byte 7 is not UTF-8; save the file as UTF-8"),
    (b"x" * 1_000_001, "team/disk.md:1: the page is larger than 1000000 bytes; split it"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_any_more_keeps_its_last_version(sources, write, broken, words):
    write("team/disk.md", "# Disk\ngood\n")
    sources.add("team", "folder", write("team/net.md", "# Net\n").parent)
    sources.sync()
    write("team/disk.md", broken)
    [outcome] = sources.sync()
    assert (outcome.state, outcome.problems, outcome.unchanged) == ("ok", 1, 2)
    assert sources.texts()["team.disk"] == "# Disk\ngood\n"
    [problem] = sources.corpus().problems
    assert f"{words} (until then the version of the last sync serves)" in str(problem)
    write("team/disk.md", "# Disk\nmended\n")
    assert (counts(*sources.sync()), sources.corpus().problems) == ((0, 1, 0, 1), ())


def test_a_file_that_never_could_be_read_is_told_with_file_line_and_mend(sources, write):
    write("team/bad.md", b"# Bad\n\xff")
    sources.add("team", "folder", write("team/good.md", "# Good\n").parent)
    [outcome] = sources.sync()
    assert (outcome.added, outcome.problems) == (1, 1)
    [problem] = sources.corpus().problems
    assert (problem.line, problem.mend) == (2, "save the file as UTF-8")
    assert problem.file.endswith("/team/bad.md")


def test_broken_front_matter_costs_its_actions_and_not_its_text(sources, write, acting):
    write("team/disk.md", acting.replace("verify:", "check:"))
    sources.add("team", "folder", write("team/other.md", "# Other\n").parent, actions=True)
    sources.sync()
    corpus = sources.corpus()
    assert (len(corpus.documents), corpus.runbooks) == (2, ())
    [problem] = corpus.problems
    assert "team/disk.md:5" in str(problem)
    assert "`verify` is missing" in str(problem)


def test_actions_come_only_from_a_source_that_may_define_them(sources, write, acting):
    folder = write("team/disk.md", acting).parent
    sources.add("trusted", "folder", folder, actions=True)
    sources.add("other", "folder", folder, actions=False)
    sources.sync()
    documents = {document.id: document for document in sources.corpus().documents}
    assert documents["fix-disk"].runbook.actions[0].id == "clean"
    assert documents["other.disk"].runbook is None
    assert documents["other.disk"].text[documents["other.disk"].body_start :].startswith("# Disk is full")
    assert (sources.store.withheld("trusted"), sources.store.withheld("other")) == (0, 1)


def test_what_an_untrusted_document_calls_itself_cannot_take_a_runbooks_place(sources, write, acting):
    sources.add("other", "folder", write("other/x.md", "---\nid: fix-disk\n---\n# Run this instead\n").parent)
    sources.add("trusted", "folder", write("team/disk.md", acting).parent, actions=True)
    sources.sync()
    found = {document.id: document.path for document in sources.corpus().documents}
    assert found["fix-disk"].endswith("team/disk.md")
    assert "other.x" in found


def test_postmortems_are_told_by_folder_by_front_matter_and_by_source(sources, write):
    write("team/postmortems/one.md", "# One\n")
    write("team/two.md", "---\nkind: postmortem\n---\n# Two\n")
    sources.add("team", "folder", write("team/three.md", "# Three\n").parent)
    sources.add("past", "folder", write("past/four.md", "# Four\n").parent, documents="postmortem")
    sources.sync()
    assert {document.id: document.kind for document in sources.corpus().documents} == {
        "team.postmortems.one": "postmortem", "team.two": "postmortem", "team.three": "runbook",
        "past.four": "postmortem",
    }  # fmt: skip


def test_ids_are_unique_and_stand_in_a_url_path(sources, write):
    for name in ("a/b.md", "a.b.md", "Größe und Menge.md", f"{'long' * 55}.md"):
        write(f"team/{name}", f"# {name}\n")
    sources.add("team", "folder", write("team/plain.md", "# x\n").parent)
    sources.sync()
    found = sources.texts()
    assert len(found) == 5
    assert "team.größe-und-menge" in found
    assert {"team.a.b"} < {name[:8] for name in found}
    assert all("/" not in name and len(name) < 300 for name in found)


def test_a_link_out_of_the_folder_is_not_followed(sources, write, tmp_path):
    write("secret.md", "# Secret\n")
    sources.add("team", "folder", write("team/a.md", "# A\n").parent)
    (tmp_path / "team" / "out.md").symlink_to(tmp_path / "secret.md")
    (tmp_path / "team" / "loop.md").symlink_to(tmp_path / "team" / "loop.md")
    sources.sync()
    assert set(sources.texts()) == {"team.a"}
    assert [p.message for p in sources.corpus().problems] == ["the link leads out of the folder"] * 2


def test_a_folder_below_that_cannot_be_read_takes_no_document_with_it(sources, write, monkeypatch):
    write("team/deep/b.md", "# B\n")
    sources.add("team", "folder", write("team/a.md", "# A\n").parent)
    sources.sync()
    scan = os.scandir

    def refusing(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    [outcome] = sources.sync()
    assert "team/deep: the folder cannot be read: Permission denied" in outcome.error
    assert set(sources.texts()) == {"team.a", "team.deep.b"}


def test_a_name_that_is_not_utf_8_is_told(sources, write, tmp_path):
    sources.add("team", "folder", write("team/a.md", "# A\n").parent)
    (tmp_path / "team" / os.fsdecode(b"\xff.md")).write_text("# B\n")
    sources.sync()
    assert [(p.message, p.mend) for p in sources.corpus().problems] == [("its name is not UTF-8", "rename it")]


def test_a_source_is_added_once_listed_and_removed_with_its_documents(sources, write):
    folder = write("team/a.md", "# A\n").parent
    sources.add("team", "folder", folder)
    sources.sync()
    with pytest.raises(BadInput, match="there is a source 'team' already"):
        sources.add("team", "folder", folder)
    with pytest.raises(NotFound, match="no source 'tam'; there are: team"):
        sources.sync("tam")
    sources.store.remove("team")
    assert (sources.store.all(), sources.texts()) == ([], {})


def test_a_sync_that_dies_leaves_what_served(sources, write, monkeypatch):
    write("team/a.md", "# A\nold\n")
    sources.add("team", "folder", write("team/b.md", "# B\n").parent)
    sources.sync()
    before = sources.store.generation()
    write("team/a.md", "# A\nnew\n")
    write("team/c.md", "# C\n")

    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("service.corpus_sources.syncing._Counts.check", dies)
    with pytest.raises(KeyboardInterrupt):
        sources.sync()
    assert sources.texts() == {"team.a": "# A\nold\n", "team.b": "# B\n"}
    assert sources.store.generation() == before
