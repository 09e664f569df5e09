"""Where no action fits a person gets a plan: the steps of the nearest documents, each where it stands."""

from __future__ import annotations

from models.domain.runbook import Document, Passage, ScoredPassage
from models.ranking.plan import MAX_STEP, MAX_STEPS, diagnosis_plan

TEXT = """# The report is late

It is late.

## How to diagnose

1. Look at the queue: `queue_depth` above 100
   means that workers are gone.
2. Ask the owner.

### Deeper

- Read the log of the scheduler.

## Mitigation

- Start it again.
"""


def document(text: str, name: str = "report-late") -> Document:
    return Document(id=name, kind="runbook", title="The report is late", text=text, path=f"{name}.md")


def found(of: Document, lexical: float = 12.0) -> ScoredPassage:
    passage = Passage(document=of.id, kind="runbook", title=of.title, start=0, end=len(of.text), text=of.text)
    return ScoredPassage(passage=passage, score=1.0, dense=0.5, lexical=lexical)


def plan(*documents: Document, lexical: float = 12.0):
    return diagnosis_plan([found(one, lexical) for one in documents], {one.id: one for one in documents})


def test_the_steps_are_the_documents_own_and_cited_where_they_stand():
    steps = plan(document(TEXT))
    assert [step.text for step in steps] == [
        "Look at the queue: `queue_depth` above 100 means that workers are gone.",
        "Ask the owner.",
        "Read the log of the scheduler.",
    ]
    for step in steps:
        (citation,) = step.citations
        assert TEXT[citation.start : citation.end] == citation.quote
        assert step.executable is False
        assert step.source == "runbook"


def test_a_document_that_shares_too_few_words_gives_no_plan():
    assert plan(document(TEXT), lexical=2.0) == ()


def test_a_section_without_a_list_gives_its_paragraphs_and_code_is_no_step():
    text = "# A\n\n## Diagnosis\n\nSee whether the disk\nis full.\n\n```\nrm -rf /\n```\n\nThen ask.\n\n## B\n\nNo.\n"
    assert [step.text for step in plan(document(text))] == ["See whether the disk is full.", "Then ask."]


def test_a_document_without_such_a_section_gives_a_sentence_of_its_passage():
    text = "# A\n\nThe disk is full on Mondays. It empties itself.\n"
    (step,) = plan(document(text))
    assert step.text.startswith("The disk is full on Mondays.")


def test_a_plan_is_short_enough_to_be_followed():
    many = "# A\n\n## Diagnosis\n\n" + "\n".join(f"- step {n} {'word ' * 200}" for n in range(30))
    steps = plan(document(many, "a"), document(many, "b"), document(many, "c"))
    assert len(steps) == 2 * MAX_STEPS
    assert all(len(step.citations[0].quote) <= MAX_STEP for step in steps)
