from __future__ import annotations

import random
import re
import sys

import pytest

from retrieval.chunks import LARGEST_CODE, TARGET, passages_of


def markdown(random_: random.Random) -> str:
    """A made-up page: headings of any level, paragraphs, lists, code, tables, quotes, odd line ends and characters."""
    words = [
        "pod",
        "restart",
        "größe",
        "磁盘",
        "`up == 0`",
        "slow\u2028query",
        "a\x0bb",
        "x" * 40,
        "**bold**",
        "🔥",
        "fi\x00ne",
        "\tgap",
    ]

    def prose(most: int) -> str:
        return " ".join(random_.choices(words, k=random_.randint(1, most)))

    makers = [
        lambda: "#" * random_.randint(1, 6) + " " + prose(4),
        lambda: prose(3) + "\n" + random_.choice(["===", "---"]),
        lambda: prose(300),
        lambda: "\n".join(prose(30) for _ in range(random_.randint(1, 30))),
        lambda: "\n".join(f"- {prose(60)}" + random_.choice(["", "\n  ```\n  # no heading\n  ```"]) for _ in range(9)),
        lambda: (
            "```sh\n"
            + "\n".join("# " + prose(8) for _ in range(random_.randint(0, 60)))
            + random_.choice(["\n```", ""])
        ),
        lambda: "> # quoted\n> " + prose(20),
        lambda: (
            "| a | b |\n|---|---|\n" + "\n".join(f"| {prose(3)} | {prose(3)} |" for _ in range(random_.randint(0, 40)))
        ),
        lambda: "x" * random_.randint(1, 4000),
        lambda: "    indented code\n" * random_.randint(1, 40),
        lambda: "",
    ]
    blocks = [random_.choice(makers)() for _ in range(random_.randint(0, 14))]
    text = "".join(block + random_.choice(["\n\n", "\n", "\n \n\n"]) for block in blocks)
    return text.replace("\n", random_.choice(["\n", "\n", "\r\n", "\r"]))


@pytest.mark.parametrize("seed", range(150))
def test_spans_are_exact_in_order_and_lose_no_words(seed, make_document):
    body = markdown(random.Random(seed))
    front = random.Random(seed).choice(["", "---\ntitle: secret front matter\n---\n"])
    document = make_document("made-up", front + body, body_start=len(front))
    passages = passages_of(document)
    end = len(front)
    for passage in passages:
        assert passage.start >= end
        assert document.text[passage.start : passage.end] == passage.text
        assert passage.text.strip()
        end = passage.end
    covered = "".join(passage.text for passage in passages) + "".join(h for p in passages for h in p.headings)
    left = body
    for passage in passages:
        left = left.replace(passage.text, "", 1)
    # What no passage has is white space, or a heading that a deeper one carries on.
    for line in re.split(r"[\r\n]+", left):
        bare = line.strip().strip("#=-").strip().replace("`", "").replace("*", "").replace("\x00", "\ufffd")
        assert all(word in covered for word in bare.split()), line


def test_a_section_is_one_passage_that_knows_its_headings(make_document):
    text = "# Title\n\n## Diagnosis\n\nLook.\n\n### `etcd` health\n\nAsk it.\n\n## Mitigation\n\nAct.\n"
    passages = passages_of(make_document("d", text))
    assert [(p.headings, p.text) for p in passages] == [
        (("Title", "Diagnosis"), "## Diagnosis\n\nLook."),
        (("Title", "Diagnosis", "etcd health"), "### `etcd` health\n\nAsk it."),
        (("Title", "Mitigation"), "## Mitigation\n\nAct."),
    ]


def test_front_matter_is_no_passage_and_text_before_the_first_heading_is(make_document):
    front = "---\ntitle: T\n---\n"
    passages = passages_of(make_document("d", front + "Hello.\n\n# A\n\nB.\n", body_start=len(front)))
    assert [p.text for p in passages] == ["Hello.", "# A\n\nB."]
    assert passages[0].start == len(front)
    assert passages_of(make_document("d", front, body_start=len(front))) == ()


def test_a_comment_in_code_is_no_heading(make_document):
    passages = passages_of(make_document("d", "# A\n\n```sh\n# not a heading\nls\n```\n"))
    assert [p.headings for p in passages] == [("A",)]


def test_a_heading_alone_is_kept_only_where_nothing_carries_it(make_document):
    assert [p.text for p in passages_of(make_document("d", "# Only a title"))] == ["# Only a title"]
    assert [p.text for p in passages_of(make_document("d", "# T\n## Empty\n## Next\n\nx\n"))] == [
        "## Empty",
        "## Next\n\nx",
    ]


def test_long_sections_are_cut_between_paragraphs(make_document):
    paragraphs = [f"Paragraph {n} " + "word " * 60 for n in range(10)]
    passages = passages_of(make_document("d", "# A\n\n" + "\n\n".join(paragraphs)))
    assert len(passages) > 2
    assert all(len(p.text) <= TARGET for p in passages)
    assert passages[0].text.startswith("# A\n\nParagraph 0")
    assert all(p.text.startswith("Paragraph") for p in passages[1:])
    assert all(p.headings == ("A",) for p in passages)


@pytest.mark.parametrize("indent", ["", "  "])
def test_code_stays_whole_unless_it_is_huge(indent, make_document):
    def page(lines: int) -> str:
        code = "\n".join(f"{indent}kubectl get pod number-{n}" for n in range(lines))
        item = "- run this:\n\n" if indent else ""
        return f"# A\n\n{'Before. ' * 100}\n\n{item}{indent}```sh\n{code}\n{indent}```\n\nAfter.\n"

    whole = passages_of(make_document("d", page(60)))
    assert sum("number-0\n" in p.text and "number-59\n" in p.text for p in whole) == 1
    huge = passages_of(make_document("d", page(400)))
    assert max(len(p.text) for p in huge) < LARGEST_CODE / 2


def test_one_endless_line_is_cut_at_words(make_document):
    passages = passages_of(make_document("d", "lorem ipsum " * 1000))
    assert all(len(p.text) <= TARGET for p in passages)
    assert all(set(p.text.split()) <= {"lorem", "ipsum"} for p in passages)


def calls_for(document) -> int:
    count = 0

    def called(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(called)
    try:
        passages_of(document)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("piece", ["[a\n", "# [\n", "<a\n", "> - ", "|a", "> a\n"])
def test_a_hostile_text_costs_no_more_than_its_length(piece, make_document):
    small, large = (make_document("hostile", piece * count) for count in (500, 1_000))
    calls_for(small)  # what is made once is made
    assert calls_for(large) < 2.5 * calls_for(small)


@pytest.mark.parametrize("piece", ["[", "![", "*", "_a_", "`a``", "<a href='", "&#", "\\"])
def test_markup_inside_a_paragraph_is_not_looked_at(piece, make_document):
    letters, hostile = make_document("letters", "a" * 6_000), make_document("hostile", (f"a{piece}" * 6_000)[:6_000])
    calls_for(letters)
    assert calls_for(hostile) < calls_for(letters) + 100
    assert passages_of(make_document("deep", "**" * 3_000 + "a" + "**" * 3_000))


def test_a_heading_loses_its_markup_unless_it_is_very_long(make_document):
    text = "# *Disk* `full` [now][there] {}\n\nx\n\n[there]: http://example.org\n"
    assert passages_of(make_document("d", text.format("")))[0].headings == ("Disk full now",)
    long = passages_of(make_document("d", text.format("[" * 5_000)))[0].headings[0]
    assert long.startswith("*Disk* `full`")
