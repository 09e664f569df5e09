"""Signs and remedies meet in the causes that both speak of, without a word in common."""

from __future__ import annotations

import numpy as np
import pytest

from models.ranking.bridge import match_remedies
from models.ranking.concepts import CONCEPTS
from retrieval.minilm import build
from service.bridging import Bridge


@pytest.fixture(scope="module")
def bridge() -> Bridge:
    return Bridge(build({}))


@pytest.mark.parametrize(
    ("signs", "right"),
    [
        ("Clients log: FATAL: sorry, too many clients already", 0),
        ("write() failed: no space left on device", 1),
        ("the peer's x509 identity is past its notAfter date, handshake refused", 2),
        ("lookups end in NXDOMAIN and SERVFAIL", 3),
    ],
)
def test_the_remedy_of_the_cause_is_found(bridge, signs, right):
    remedies = ["Put a pooler in front.", "Rotate the logs.", "Renew it and reload.", "Scale CoreDNS."]
    matches = bridge.match(signs, remedies)
    assert max(range(4), key=lambda place: matches[place].bridge) == right
    assert matches[right].bridge > 0.3


def test_a_remedy_without_rivals_has_no_advantage(bridge):
    [match] = bridge.match("no space left on device", ["Rotate the logs."])
    assert (match.bridge, match.words) == (pytest.approx(0), pytest.approx(0))
    assert match.cause == "disk full"
    assert bridge.match("no space left on device", []) == []


def test_equal_remedies_share_what_they_mend():
    count = len(CONCEPTS)
    signs = np.zeros(count)
    matches = match_remedies(signs, np.zeros((3, count)), np.zeros(3))
    assert [match.bridge for match in matches] == pytest.approx([0, 0, 0])


def test_every_cause_is_told_apart_and_says_where_it_is_from():
    assert len({one.name for one in CONCEPTS}) == len(CONCEPTS)
    assert all(one.source.startswith("https://") and one.signs and one.remedies for one in CONCEPTS)
