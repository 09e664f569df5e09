"""What an operator writes to add a source."""

import pytest

from models.domain.errors import BadInput
from service.corpus_sources.adding import new_source
from tests.service.corpus_sources.conftest import NOW


def make(name, kind, place, **changes):
    given = {"ref": None, "under": "", "actions": None, "postmortems": False, "link": None, "added": (NOW, "cli:test")}
    return new_source(name, kind, str(place), **(given | changes))


def test_a_folder_may_define_actions_and_others_may_not_unless_told(write, repository):
    repository.commit({"a.md": "# A\n"})
    folder = write("team/a.md", "# A\n").parent
    assert make("team", "folder", folder).actions is True
    assert make("team", "folder", folder, actions=False).actions is False
    assert make("team", "git", repository.bare).actions is False
    assert make("team", "git", repository.bare, actions=True).actions is True
    assert make("wiki", "confluence", folder).actions is False


@pytest.mark.parametrize(("name", "kind", "place", "changes", "words"), [
    ("Team", "folder", "team", {}, "NAME: 'Team' must have 1 to 40 lower-case letters"),
    ("a.b", "folder", "team", {}, "NAME: 'a.b' must have"),
    ("team", "wiki", "team", {}, "--kind: 'wiki' is none of folder, git, confluence, html"),
    ("team", "folder", "nowhere", {}, "does not exist"),
    ("team", "folder", "team/a.md", {}, "is not a folder"),
    ("team", "html", "team/a.md", {}, "is neither a folder nor a zip archive nor an HTML page"),
    ("team", "git", "team", {}, "PLACE: .*team is no git repository; name one, or add the folder with --kind folder"),
    ("team", "git", "https://a:b@x/y", {}, "the address holds credentials"),
    ("team", "folder", "team", {"ref": "main"}, "--ref and --under are for --kind git"),
    ("wiki", "html", "team", {"actions": True}, "--actions: HTML pages never define actions"),
    ("team", "folder", "team", {"link": "javascript:alert(1)"}, "--link: must begin with http"),
    ("team", "folder", "team", {"link": "https://x/{file}"}, "--link: {file} is none of {path}, {ref}, {page}"),
])  # fmt: skip
def test_what_cannot_be_a_source_is_refused_with_its_place(write, tmp_path, name, kind, place, changes, words):
    write("team/a.md", "# A\n")
    with pytest.raises(BadInput, match=words):
        make(name, kind, place if "://" in place else tmp_path / place, **changes)


def test_a_ref_and_a_folder_that_a_repository_does_not_have(repository):
    repository.commit({"a.md": "# A\n"})
    with pytest.raises(BadInput, match="no branch or tag 'nope'"):
        make("team", "git", repository.bare, ref="nope")
    with pytest.raises(BadInput, match=r"--under: '\.\./x' is no path within the repository"):
        make("team", "git", repository.bare, under="../x")
