from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from models.domain.errors import BadInput
from runbooks.loader import MAX_BYTES, load_corpus, load_runbook


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_runbooks_plain_files_and_postmortems_are_told_apart(tmp_path, write, good):
    write("restart-it.md", good)
    write("plain.md", "```\n# not a title\n```\n# The title\ntext\n")
    write("foreign.md", "---\ntitle: Kube API down\nweight: 20\n---\ntext\n")
    write("postmortems/pm.md", "---\nid: pm-1\ntitle: The outage\nincident: INC-7\ndate: 2026-01-05\n---\ntext\n")
    write("declared.md", "---\nkind: postmortem\nid: pm-2\ntitle: Another\nactions: none were needed\n---\ntext\n")
    corpus = load_corpus([tmp_path])
    assert corpus.problems == ()
    found = {document.id: document for document in corpus.documents}
    assert {name: (document.kind, document.title) for name, document in found.items()} == {
        "restart-it": ("runbook", "It is down"),
        "plain": ("runbook", "The title"),
        "foreign": ("runbook", "Kube API down"),
        "pm-1": ("postmortem", "The outage"),
        "pm-2": ("postmortem", "Another"),
    }
    assert [runbook.id for runbook in corpus.runbooks] == ["restart-it"]
    assert found["pm-1"].metadata["incident"] == "INC-7"
    assert found["pm-1"].metadata["date"] == "2026-01-05"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_text_is_kept_to_the_character(tmp_path, good, newline, mark):
    text = mark + good.replace("\n", newline)
    (tmp_path / "a.md").write_bytes(text.encode())
    (document,) = load_corpus([tmp_path]).documents
    assert document.runbook is not None
    assert document.text == text
    assert document.text[document.body_start :].startswith("# It is down")


@pytest.mark.parametrize(
    ("old", "new", "marked", "words"),
    [
        ("    reversible: true", "    reversable: true", "reversable", "did you mean `reversible`?"),
        ("    verify:", "    check:", "- id: restart", "`verify` is missing"),
        ("hold: 5s", "hold: 5 parsecs", "parsecs", "not a duration"),
        ("hold: 5s", "hold: 5", "hold: 5", "has no unit"),
        ('is: "== 1"', 'is: "about 1"', "about 1", "an operator and a number"),
        ("uses: process/restart", "uses: restart", "uses: restart", "executor/verb"),
        ("supports: restart}", "supports: reboot}", "supports: reboot", "does not have"),
        ("  process: {", "  Process-Name: {", "Process-Name", "parameter names are lower-case"),
        ("    title: Restart it", "    title: Restart it\n    title: Again", "title: Again", "given twice"),
        ("    title: Restart it", "    title: Restart: it", "Restart: it", "not valid YAML"),
        ("    title: Restart it", "    title: 2026-13-45", "2026-13-45", "put it in quotes"),
        ("    title: Restart it", "    title: !!python/name:os.system", "!!python", "tags are not allowed"),
        ("    with: {name:", "    with: {{{ name }}:", "{{{ name }}", "a key is not a plain word"),
    ],
)
def test_a_malformed_runbook_is_one_problem_on_the_exact_line(tmp_path, write, good, old, new, marked, words):
    text = good.replace(old, new, 1)
    path = write("broken.md", text)
    write("fine.md", good.replace("restart-it", "fine"))
    corpus = load_corpus([tmp_path])
    (problem,) = corpus.problems
    assert (problem.file, problem.line) == (str(path), line_of(text, marked))
    assert words in str(problem)
    # What was valid is kept: the other file, and this one's text.
    assert [runbook.id for runbook in corpus.runbooks] == ["fine"]
    assert [document.text for document in corpus.documents if document.runbook is None] == [text]
    assert "its text is searched" in problem.mend


def test_every_fault_beyond_the_first_is_counted(tmp_path, write, good):
    write("broken.md", good.replace("hold: 5s", "hold: x").replace("uses: process/restart", "uses: 7"))
    (problem,) = load_corpus([tmp_path]).problems
    assert "and 1 more" in problem.message


def test_an_id_is_taken_by_the_first_folder(tmp_path, write, good):
    first = write("one/a.md", good)
    second = write("two/a.md", good.replace("It is down", "Second"))
    corpus = load_corpus([first.parent, second.parent])
    assert [document.title for document in corpus.documents] == ["It is down"]
    (problem,) = corpus.problems
    assert (problem.file, problem.line) == (str(second), 2)
    assert str(first) in problem.message


def test_what_cannot_be_read_costs_itself_alone(tmp_path, write, good):
    write("in/good.md", good)
    write("in/latin.md", b"# ok\nna\xefve\n")
    write("in/huge.md", "x" * (MAX_BYTES + 1))
    write("in/open.md", "---\nid: x\n")
    write("in/list.md", "---\n- a\n---\n")
    write("out/secret.md", "# secret\n")
    (tmp_path / "in" / "link.md").symlink_to(tmp_path / "out" / "secret.md")
    (tmp_path / "in" / "dangling.md").symlink_to(tmp_path / "nowhere.md")
    corpus = load_corpus([tmp_path / "in", tmp_path / "absent"])
    problems = {Path(problem.file).name: (problem.line, problem.message) for problem in corpus.problems}
    assert problems.keys() == {"latin.md", "huge.md", "open.md", "list.md", "link.md", "dangling.md", "absent"}
    assert problems["latin.md"] == (2, "byte 7 is not UTF-8")
    assert "never closed" in problems["open.md"][1]
    assert "not a mapping" in problems["list.md"][1]
    assert {document.id for document in corpus.documents} == {"restart-it", "open", "list"}


def test_links_as_a_mounted_config_map_has_them_are_read_once(tmp_path, write, good):
    write("..2026_01/a.md", good)
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "a.md").symlink_to("..data/a.md")
    corpus = load_corpus([tmp_path])
    assert [document.path for document in corpus.documents] == [str(tmp_path / "a.md")]
    assert corpus.problems == ()


@pytest.mark.parametrize(
    "yaml",
    [
        "a: &a [x]\n" + "\n".join(f"{n}: &{n} [{', '.join([f'*{m}'] * 9)}]" for m, n in pairwise("abcdefghi")),
        "id: &a [*a]",
        "id: " + "[" * 1000,
        "id: " + "[" * 100_000,
    ],
)
def test_yaml_that_explodes_is_refused(tmp_path, write, yaml):
    write("bomb.md", f"---\n{yaml}\n---\n")
    corpus = load_corpus([tmp_path])
    assert len(corpus.problems) == 1
    assert corpus.runbooks == ()


def test_one_runbook_is_read_or_refused_with_its_line(write, good):
    assert load_runbook(write("restart-it.md", good)).id == "restart-it"
    with pytest.raises(BadInput, match=r"broken\.md:15: .*executor/verb"):
        load_runbook(write("broken.md", good.replace("uses: process/restart", "uses: 7")))
    with pytest.raises(BadInput, match="no front matter"):
        load_runbook(write("plain.md", "# text\n"))
