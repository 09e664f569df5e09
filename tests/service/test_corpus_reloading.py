"""A running service reads its corpus again: what changes is served without a restart, errors are logged once."""

import logging
from datetime import timedelta

import pytest

from models.domain.errors import Unavailable
from service import background
from service.background import ToldOnce
from service.corpus import source_store
from service.corpus_sources.source import CorpusSource
from service.corpus_sources.syncing import sync_sources


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(background, "_READ_EVERY", timedelta(milliseconds=100))


def ids(one):
    return {document.id for document in one.parts.corpus.documents()}


def seen(one, wanted):
    one.until(lambda: ids(one) == wanted or None, f"the service did not come to serve {wanted}")


def test_files_and_sources_that_change_are_served_without_a_restart(installation, make_runbook, often, tmp_path):
    make_runbook()
    one = installation().start("detector")
    assert ids(one) == {"fix-shop"}
    make_runbook("fix-other")
    seen(one, {"fix-shop", "fix-other"})
    # As another process, `suture corpus sync`, does it.
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "queue.md").write_text("# Queue lag\n\nConsumers fall behind.\n")
    store = source_store(one.parts.settings)
    store.add(CorpusSource(
        name="team", kind="folder", place=str(tmp_path / "team"), added_at=one.parts.clock(), added_by="cli:test"
    ))  # fmt: skip
    sync_sources(store, one.parts.clock)
    seen(one, {"fix-shop", "fix-other", "team.queue"})
    assert one.parts.index.search("consumers fall behind", 1)[0].passage.document == "team.queue"
    store.remove("team")
    seen(one, {"fix-shop", "fix-other"})


def test_a_folder_that_goes_away_takes_nothing_with_it(installation, make_runbook, tmp_path):
    make_runbook()
    one = installation()
    one.parts.corpus.sync()
    (tmp_path / "runbooks").rename(tmp_path / "unmounted")
    one.parts.corpus.refresh()
    assert ids(one) == {"fix-shop"}
    [problem] = one.parts.corpus.problems()
    assert "the folder does not exist" in str(problem)
    (tmp_path / "unmounted").rename(tmp_path / "runbooks")
    one.parts.corpus.refresh()
    assert (ids(one), one.parts.corpus.problems()) == ({"fix-shop"}, ())


def test_an_index_that_fails_leaves_the_old_corpus_serving(installation, make_runbook, monkeypatch):
    make_runbook()
    one = installation()
    one.parts.corpus.sync()
    make_runbook("fix-other")

    def fails(_):
        raise Unavailable("the embedder does not answer")

    monkeypatch.setattr(one.parts.index, "sync", fails)
    with pytest.raises(Unavailable):
        one.parts.corpus.refresh()
    assert ids(one) == {"fix-shop"}
    monkeypatch.undo()
    one.parts.corpus.refresh()
    assert ids(one) == {"fix-shop", "fix-other"}


def test_an_error_is_logged_when_it_appears_and_when_it_is_over(caplog):
    errors = iter([Unavailable("away"), Unavailable("away"), ValueError("odd"), None, None, Unavailable("away")])

    def call():
        if (error := next(errors)) is not None:
            raise error

    told = ToldOnce("read-corpus", call)
    with caplog.at_level(logging.INFO):
        for _ in range(6):
            told()
    assert [record.getMessage() for record in caplog.records] == [
        "read-corpus: away", "read-corpus: ValueError: odd", "read-corpus: works again", "read-corpus: away",
    ]  # fmt: skip
