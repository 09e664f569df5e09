from __future__ import annotations

import time

import numpy as np
import pytest

from retrieval.lexical import LexicalIndex
from retrieval.words import split_code, split_identifier, stem, terms


@pytest.mark.parametrize(
    ("identifier", "parts"),
    [
        ("KubePodCrashLooping", {"kube", "pod", "crash", "loop", "crash loop", "kubepodcrashlooping"}),
        ("kube_pod_status", {"kube", "pod", "status", "kube pod", "kube_pod_status"}),
        ("etcdGRPCRequestsSlow", {"etcd", "grpc", "request", "slow"}),
        ("node:cpu:rate5m", {"node", "cpu", "rate", "node:cpu:rate5m"}),
    ],
)
def test_identifiers_are_found_whole_and_by_their_parts(identifier, parts):
    assert parts <= set(terms(identifier))


def test_endings_meet_and_function_words_are_left_out():
    assert {stem(w) for w in ("fail", "fails", "failed", "failing")} == {"fail"}
    assert stem("stopped") == stem("stopping") == stem("stops")
    assert stem("policies") == stem("policy")
    assert stem("status") == "status"
    assert terms("is the of") == []
    assert terms("") == []


def test_pairs_do_not_cross_sentences():
    assert "pod crash" in terms("the pod is crashing")
    assert "pod crash" not in terms("Look at the pod. Crash follows")


def test_words_of_other_scripts_are_kept():
    assert "speicherplatz" in terms("Kein Speicherplatz")
    assert terms("磁盘 已满")[:1] == ["磁盘"]
    assert terms("größe") == ["größe"]


def test_split_identifier_reads_as_words():
    assert split_identifier("KubeAPIDown") == "Kube API Down"


def test_code_is_told_from_prose_and_link_targets_are_neither():
    prose, code = split_code("See [docs](https://x.example/a-b) and `kubectl top`.\n```sh\nls -l\n```\nDone.")
    assert "kubectl top" in code
    assert "ls -l" in code
    assert "ls -l" not in prose
    assert "Done." in prose
    assert "x.example" not in prose + code


def test_rare_words_and_titles_weigh_more():
    units = [
        {"title": "Disk", "prose": "full"},
        {"title": "Net", "prose": "disk slow"},
        {"title": "Cpu", "prose": "slow"},
    ]
    index = LexicalIndex(units)
    disk = index.scores("disk")
    assert disk[0] > disk[1] > disk[2] == 0
    assert index.scores("full")[0] > index.scores("slow")[2] > 0


def test_scores_equal_the_published_formula():
    units = [{"prose": "alpha beta beta gamma"}, {"prose": "alpha"}, {"title": "beta", "code": "delta"}]
    got = LexicalIndex(units).scores("beta")
    # By hand, Robertson & Zaragoza 2009: counts of `beta` over each field's length normalisation, then weighed.
    # Lengths count pairs of words too: the first prose has 4 words and 3 pairs.
    prose_mean = (7 + 1 + 0) / 3
    first = 1.0 * 2 / (1 - 0.75 + 0.75 * 7 / prose_mean)
    third = 3.0 * 1 / (1 - 0.5 + 0.5 * 1 / (1 / 3))
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    assert got == pytest.approx([idf * first / (1.2 + first), 0, idf * third / (1.2 + third)], rel=1e-5)


def test_empty_indexes_and_strange_queries_score_nothing():
    assert LexicalIndex([]).scores("disk").shape == (0,)
    assert LexicalIndex([{}, {}]).scores("disk").tolist() == [0, 0]
    assert LexicalIndex([{"prose": "disk"}]).scores("?? ## \x00").tolist() == [0]


def test_ten_thousand_passages_are_searched_in_milliseconds():
    words = [f"word{n}" for n in range(3000)]
    choice = np.random.default_rng(1)
    units = [{"title": f"Page {n}", "prose": " ".join(choice.choice(words, 12))} for n in range(10_000)]
    index = LexicalIndex(units)
    start = time.process_time()
    for n in range(20):
        index.scores(f"word{n} word{n + 1} page failing slowly with word{n + 2}")
    assert (time.process_time() - start) / 20 < 0.02
