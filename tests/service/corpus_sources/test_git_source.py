"""Markdown of a git repository at a ref: one commit, no hooks, no prompts, no credentials kept."""

import stat

import pytest

from models.domain.errors import BadInput
from service.corpus_sources.git import check_address


def added(sources, repository, **changes):
    sources.add("team", "git", repository.bare, **changes)
    return sources.sync()[0]


def test_a_branch_is_followed_and_says_which_commit_a_document_is_of(sources, repository):
    repository.commit({"ops/disk.md": "# Disk\nold\n", "README.md": "# Read\n", "code.py": "x = 1\n"})
    assert added(sources, repository, ref="main", link="https://git.example.org/{ref}/{path}").added == 2
    commit = repository.commit({"ops/disk.md": "# Disk\nnew\n", "README.md": None, "net work.md": "# Net\n"})
    [outcome] = sources.sync()
    assert (outcome.added, outcome.changed, outcome.removed, outcome.unchanged) == (1, 1, 1, 0)
    assert outcome.ref == commit
    documents = {document.id: document for document in sources.corpus().documents}
    assert set(documents) == {"team.ops.disk", "team.net-work"}
    assert documents["team.ops.disk"].text == "# Disk\nnew\n"
    assert documents["team.ops.disk"].path == f"{repository.bare}@{commit[:12]}:ops/disk.md"
    assert documents["team.net-work"].metadata["origin"] == {
        "source": "team", "path": "net work.md", "ref": commit,
        "url": f"https://git.example.org/{commit}/net%20work.md",
    }  # fmt: skip


def test_nothing_is_fetched_where_the_ref_has_not_moved(sources, repository, monkeypatch):
    repository.commit({"a.md": "# A\n", "bad.md": b"\xff"})
    added(sources, repository)
    asked = []
    from service.corpus_sources import git

    run = git._git
    monkeypatch.setattr(git, "_git", lambda *given: asked.append(given[3]) or run(*given))
    [outcome] = sources.sync()
    assert (outcome.unchanged, outcome.problems, asked) == (1, 1, ["ls-remote"])


def test_tags_commits_and_a_folder_below(sources, repository):
    first = repository.commit({"runbooks/a.md": "# A\nfirst\n", "other/b.md": "# B\n"})
    repository.git("tag", "--annotate", "v1", "--message", "one")
    repository.git("push", "--quiet", "origin", "v1")
    repository.commit({"runbooks/a.md": "# A\nsecond\n"})
    sources.add("tag", "git", repository.bare, ref="v1", under="runbooks")
    sources.add("commit", "git", repository.bare, ref=first)
    sources.add("head", "git", repository.bare)
    assert [outcome.state for outcome in sources.sync()] == ["ok"] * 3
    assert {name: text for name, text in sources.texts().items() if "a" in name.split(".")[-1]} == {
        "tag.runbooks.a": "# A\nfirst\n", "commit.runbooks.a": "# A\nfirst\n", "head.runbooks.a": "# A\nsecond\n",
    }  # fmt: skip
    assert "tag.other.b" not in sources.texts()


def test_a_repository_defines_actions_only_where_it_was_told_to(sources, repository, acting):
    repository.commit({"disk.md": acting})
    sources.add("plain", "git", repository.bare)
    sources.add("trusted", "git", repository.bare, actions=True)
    sources.sync()
    assert [(d.id, d.runbook is not None) for d in sources.corpus().documents] == [
        ("plain.disk", False), ("fix-disk", True),
    ]  # fmt: skip


@pytest.mark.parametrize(("ref", "words"), [
    ("nope", "has no branch or tag 'nope'; `git ls-remote` lists what there is"),
    ("0" * 40, "cannot be read"),
])  # fmt: skip
def test_an_unknown_ref(sources, repository, ref, words):
    repository.commit({"a.md": "# A\n"})
    outcome = added(sources, repository, ref=ref)
    assert (outcome.state, words in outcome.error) == ("failed", True)


def test_what_is_no_repository_or_went_away_leaves_the_old_documents(sources, repository, write):
    sources.add("none", "git", write("plain/a.md", "# A\n").parent)
    [outcome] = sources.sync()
    assert "plain is no git repository" in outcome.error
    repository.commit({"a.md": "# A\n"})
    added(sources, repository)
    sources.sync("team")
    repository.bare.rename(repository.bare.with_name("moved.git"))
    [outcome] = sources.sync("team")
    assert (outcome.state, "team.a" in sources.texts()) == ("failed", True)


def test_a_server_that_asks_for_a_password_is_told_not_waited_for(sources, loopback):
    loopback.answer = lambda _: loopback.Answer(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    sources.add("team", "git", f"{loopback.url}/team.git")
    [outcome] = sources.sync()
    assert "asks for a password; give git a credential helper" in outcome.error


def test_a_server_that_does_not_answer_is_waited_for_a_bounded_time(sources, loopback, monkeypatch):
    loopback.answer = lambda _: loopback.Answer(body=b"x" * 1000, pause=0.2)
    monkeypatch.setattr("service.corpus_sources.git.ASK_SECONDS", 0.5)
    sources.add("team", "git", f"{loopback.url}/team.git")
    [outcome] = sources.sync()
    assert "did not answer within 0.5 s" in outcome.error


def test_no_program_of_the_repository_or_of_a_template_runs(sources, repository, tmp_path, monkeypatch):
    ran, home = tmp_path / "ran", tmp_path / "home"
    hooks = home / "template" / "hooks"
    hooks.mkdir(parents=True)
    for folder in (hooks, repository.bare / "hooks"):
        folder.mkdir(exist_ok=True)
        for name in ("post-checkout", "reference-transaction", "post-merge", "pre-auto-gc", "fsmonitor-watchman"):
            (folder / name).write_text(f"#!/bin/sh\necho {name} >> {ran}\n")
            (folder / name).chmod(stat.S_IRWXU)
    (home / ".gitconfig").write_text(f"[init]\ntemplateDir={home}/template\n[core]\nhooksPath={hooks}\n")
    repository.commit({"a.md": "# A\n"})
    ran.unlink(missing_ok=True)
    monkeypatch.setenv("HOME", str(home))
    assert added(sources, repository).added == 1
    assert not ran.exists()


def test_links_are_not_followed(sources, repository):
    repository.commit({"a.md": "# A\n"})
    (repository.work / "out.md").symlink_to("/etc/passwd")
    repository.commit({"b.md": "# B\n"})
    added(sources, repository)
    assert set(sources.texts()) == {"team.a", "team.b"}
    assert [p.message for p in sources.corpus().problems] == ["it is a link, which is not followed"]


def test_nothing_is_left_behind(sources, repository, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    repository.commit({"a.md": "# A\n"})
    added(sources, repository)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("place", [
    "--upload-pack=touch /tmp/x", "ext::sh -c true", "https://ada:secret@git.example.org/x.git",
    "https://token@git.example.org/x.git", "ssh://ada:secret@git.example.org/x.git", "gopher://x/y", "a\nb",
])  # fmt: skip
def test_addresses_that_git_must_not_see(place):
    with pytest.raises(BadInput) as raised:
        check_address(place, None)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("place", ["git@github.com:acme/x.git", "ssh://git@host/x.git", "https://host/x.git", "/srv/x"])
def test_addresses_that_are_taken(place):
    check_address(place, "release/1.2")


@pytest.mark.parametrize("ref", ["--all", "a b", "main..x", "main:x", "", "x" * 201])
def test_refs_that_git_must_not_see(ref):
    with pytest.raises(BadInput, match="no branch, tag or full commit id"):
        check_address("/srv/x", ref)
