"""The second stage: near twins told apart through the door that users take."""

from __future__ import annotations

import pytest

from retrieval.index import PassageIndex
from retrieval.rerank import FEATURES, POOL
from retrieval.rerank_weights import WEIGHTS


def first(index, query, **options):
    return index.documents(query, 3, **options)[0].document


@pytest.fixture
def twins(make_document):
    """Runbooks that share nearly every word; the first two name each other."""
    body = "The alert fires when the {} of the node run out. Similar to {}.\n\n## Mitigation\n\nRemove old files.\n"
    return [
        make_document("NodeSpaceFillingUp", "# NodeSpaceFillingUp\n\n" + body.format("bytes", "NodeInodesFillingUp")),
        make_document("NodeInodesFillingUp", "# NodeInodesFillingUp\n\n" + body.format("inodes", "NodeSpaceFillingUp")),
        make_document("QuotaAlmostFull", "# QuotaAlmostFull\n\nA namespace has a quota on pods and processors.\n"),
        make_document("QuotaExceeded", "# QuotaExceeded\n\nA namespace has a quota on pods and processors.\n"),
        make_document("SchedulerDown", "# SchedulerDown\n\nIt has disappeared from target discovery.\n"),
        make_document("KubeletDown", "# KubeletDown\n\nThe agent of a node does not answer any more.\n"),
    ]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("NodeInodesFillingUp", "NodeInodesFillingUp"),
        ("Something is wrong.\nQuotaExceeded", "QuotaExceeded"),
        ("The namespace's quota is going to be used up soon.", "QuotaAlmostFull"),
        ("The kubelet is not reachable.", "KubeletDown"),
        ("No space on a device, it is filling up.", "NodeSpaceFillingUp"),
    ],
)
def test_twins_are_told_apart(query, wanted, hashing, twins):
    index = PassageIndex(None, hashing)
    index.sync(twins)
    assert first(index, query) == wanted


def test_a_name_of_another_document_is_not_a_word_of_the_referrer(hashing, make_document):
    index = PassageIndex(None, hashing)
    index.sync(
        [
            make_document("EtcdNoLeader", "# EtcdNoLeader\n\nElections fail.\n"),
            make_document("ApiSlow", "# ApiSlow\n\nLook at EtcdNoLeader, EtcdNoLeader and EtcdNoLeader first.\n"),
        ]
    )
    scores = {found.document: found.lexical for found in index.documents("EtcdNoLeader", 2)}
    assert scores["ApiSlow"] == 0 < scores["EtcdNoLeader"]


def test_every_feature_has_a_weight_and_none_speaks_against(hashing, twins):
    assert set(WEIGHTS) == set(FEATURES)
    assert min(WEIGHTS.values()) >= 0
    index = PassageIndex(None, hashing)
    index.sync(twins)
    found = index.documents("space filling up", 6)
    assert [one.fit for one in found] == sorted((one.fit for one in found), reverse=True)
    for one in found:
        assert one.fit == pytest.approx(
            sum(WEIGHTS[name] * value for name, value in zip(FEATURES, one.features, strict=True))
        )


def test_documents_beyond_the_pool_keep_the_first_stages_order(hashing, make_document):
    index = PassageIndex(None, hashing)
    index.sync([make_document(f"page-{n}", f"# Page {n}\n\nwords {'disk ' * n}\n") for n in range(POOL + 10)])
    found = index.documents("disk", POOL + 10)
    assert len({one.document for one in found}) == POOL + 10
    assert all(one.fit is not None for one in found[:POOL])
    rest = found[POOL:]
    assert all(one.fit is None and one.features == () for one in rest)
    assert [one.score for one in rest] == sorted((one.score for one in rest), reverse=True)
    assert min(one.score for one in found[:POOL]) >= rest[0].score
