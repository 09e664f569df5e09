"""Learning the second stage: the direction of its weights, and splits that never share a runbook."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evals.retrieval_abstention import separation
from evals.retrieval_reranker import Listed, evaluate, fit, gather, held_out
from evals.retrieval_variants import Asked, corpus, group_of, queries
from retrieval.rerank import FEATURES


class Letters:
    """Texts are near where their letters are: enough for an index, and no model to load."""

    identity, dimension = "letters", 26

    def embed(self, texts):
        counts = [[1e-3 + text.lower().count(chr(97 + letter)) for letter in range(26)] for text in texts]
        vectors = np.array(counts, np.float32).reshape(len(texts), 26)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


USEFUL = FEATURES.index("title_covered")
MISLEADING = FEATURES.index("concepts_in_title")


def made_up(count=60) -> list[Listed]:
    random = np.random.default_rng(1)
    rows = []
    for number in range(count):
        values = random.normal(size=(10, len(FEATURES)))
        gold = int(random.integers(10))
        values[gold, USEFUL] += 3
        values[gold, MISLEADING] -= 3
        name = f"runbook-{number % 12}"
        rows.append(Listed(Asked(str(number), f"g{number % 3}", name, "desc", "whole", "q"), "whole", values, gold))
    return rows


def test_what_tells_the_right_one_gets_weight_and_nothing_speaks_against():
    rows = made_up()
    weights = fit(rows)
    assert weights.min() == 0 == weights[MISLEADING]
    assert weights.argmax() == USEFUL
    assert sum(place == 0 for place in held_out(rows, lambda row: row.asked.group)) > 45


def test_what_the_first_stage_lost_counts_as_wrong_and_ties_count_against():
    lost = made_up(1)[0]
    weights = np.ones(len(FEATURES))
    tied = Listed(lost.asked, "whole", np.zeros((4, len(FEATURES))), 2)
    assert tied.place(weights) == 3
    assert Listed(lost.asked, "whole", lost.features, None).place(weights) >= 10


@pytest.fixture
def labelled(tmp_path):
    folder = tmp_path / "runbooks"
    folder.mkdir()
    texts = {
        "NodeDiskFull": ("A volume has no space left.", "No space on a volume."),
        "NodeClockSkew": ("The clock differs from its peers.", "A clock is off."),
        "KubePodCrash": ("The container restarts again and again.", "A container crashes."),
        "etcdNoLeader": ("The members elect nobody.", "There is no leader. Writes fail."),
    }
    rows = []
    for name, (meaning, said) in texts.items():
        (folder / f"{name}.md").write_text(f"# {name}\n\n## Meaning\n\n{meaning}\n\n## Mitigation\n\nLook at it.\n")
        rows.append({"id": name, "alert": name, "description": said, "expr": "a_metric > 1", "gold_runbook": name})
    alerts = tmp_path / "alerts.jsonl"
    alerts.write_text("\n".join(map(json.dumps, rows)))
    return alerts, folder


def test_groups_variants_and_figures(labelled):
    alerts, runbooks = labelled
    assert [group_of(name) for name in ("KubePodCrash", "etcdNoLeader", "CPUThrottlingHigh", "KubeletDown")] == [
        "Kube", "etcd", "CPU", "Kubelet",
    ]  # fmt: skip
    asked = queries(alerts, frozenset(path.stem for path in runbooks.iterdir()))
    leader = {one.variant: one.query for one in asked if one.gold == "etcdNoLeader" and one.mode == "desc"}
    assert leader["first sentence"] == "There is no leader."
    assert not any("Meaning" in document.text for document in corpus(runbooks, "no meaning"))
    result = evaluate(gather(alerts, runbooks, Letters()))
    assert {row["how"] for row in result["recall"]} == {"first stage", "folds", "group left out"}
    assert {row["group"] for row in result["by_group"]} == {"Node", "Kube", "etcd"}
    assert sum(row["n"] for row in result["by_group"] if row["mode"] == "name") == 4
    assert set(result["weights"]) == set(FEATURES)
    assert all(0 <= row["recall_at_1"] <= row["recall_at_3"] <= 1 for row in result["recall"])


def test_a_corpus_without_the_right_runbook_scores_lower(labelled):
    found = separation(*labelled, "name", Letters())
    assert set(found) == {"lexical", "second stage", "cosine"}
    assert found["second stage"] == 1


def test_an_alert_keeps_its_label_in_every_variant(labelled):
    alerts, runbooks = labelled
    stems = frozenset(path.stem for path in runbooks.iterdir())
    assert {one.gold for one in queries(alerts, stems)} == stems
