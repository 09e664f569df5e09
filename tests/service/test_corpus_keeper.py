"""The corpus on disk: what is valid serves on, drafts are written whole, the index follows."""

from pathlib import Path

import pytest
from suture_test_plugin import HashingEmbedder

from retrieval.index import PassageIndex
from service.corpus import CorpusKeeper

GOOD = "---\nid: good\ntitle: Good\nactions: []\n---\n# Good\nRestart the shop.\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "runbooks").mkdir()
    return tmp_path / "runbooks"


@pytest.fixture
def keeper(tmp_path, folder):
    index = PassageIndex(None, HashingEmbedder())
    yield CorpusKeeper((folder,), tmp_path / "state" / "postmortems", index)
    index.close()


def ids(keeper):
    return {document.id for document in keeper.documents()}


def test_a_bad_file_is_told_and_keeps_none_of_the_others(keeper, folder):
    (folder / "good.md").write_text(GOOD)
    (folder / "plain.md").write_text("# Plain\nCall somebody.\n")
    (folder / "bad.md").write_text("---\nid: bad\ntitle: [\n---\n# Bad\n")
    keeper.sync()
    assert {"good", "plain"} <= ids(keeper)
    [problem] = keeper.problems()
    assert "bad.md" in str(problem)


def test_a_file_that_breaks_later_leaves_the_others_and_comes_back_when_mended(keeper, folder):
    (folder / "good.md").write_text(GOOD)
    (folder / "other.md").write_text(GOOD.replace("good", "other"))
    keeper.sync()
    (folder / "other.md").write_bytes(b"\xff\xfe broken")
    keeper.sync()
    assert (ids(keeper), len(keeper.problems())) == ({"good"}, 1)
    (folder / "other.md").write_text(GOOD.replace("good", "other"))
    keeper.sync()
    assert (ids(keeper), keeper.problems()) == ({"good", "other"}, ())


def test_a_draft_is_found_at_once_and_replaced_by_its_next_version(keeper, tmp_path):
    keeper.sync()
    for words in ("The disk was full.", "The network was gone."):
        keeper.add_postmortem("inc-1", f"---\nkind: postmortem\nid: inc-1\ntitle: One\n---\n# One\n\n{words}\n")
    [document] = keeper.documents()
    assert "network" in document.text
    assert [path.name for path in (tmp_path / "state" / "postmortems").iterdir()] == ["inc-1.md"]


def test_a_draft_is_written_whole_or_not_at_all(keeper, tmp_path, monkeypatch):
    keeper.add_postmortem("inc-1", "---\nkind: postmortem\nid: inc-1\ntitle: One\n---\n# One\n")

    def crash(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        keeper.add_postmortem("inc-1", "half of")
    monkeypatch.undo()
    keeper.sync()
    assert (ids(keeper), keeper.problems()) == ({"inc-1"}, ())
