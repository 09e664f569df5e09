from __future__ import annotations

import pytest

from retrieval.concepts import concepts
from retrieval.forms import forms_of, same_word, with_parts
from retrieval.words import stems


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("config", "configuration", True),
        ("fail", "failure", True),
        ("transmission", "transmitter", False),
        ("file", "filesystem", False),
        ("no", "node", False),
        ("expir", "expiration", True),
        ("disk", "disk", True),
    ],
)
def test_forms_of_one_word(one, other, same):
    assert same_word(*(stems(word)[0] for word in (one, other))) is same
    assert (stems(other)[0] in forms_of([stems(one)[0]], [stems(other)[0]]).get(stems(one)[0], ())) is same


def test_a_compound_is_taken_apart_where_titles_have_its_parts():
    known = {"resourc", "resource", "quota", "file", "system", "daemon", "set"}.__contains__
    assert {"quota"} < with_parts({"resourcequota"}, {"quota"}, known)
    assert with_parts({"filesystem"}, {"filesystem", "file"}, known) == {"filesystem"}
    assert with_parts({"daemonset"}, {"daemon", "set"}, known) == {"daemonset", "daemon", "set"}
    assert with_parts({"unknownthing"}, {"quota"}, known) == {"unknownthing"}


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("the volume will fill within 4 hours", {"soon", "storage"}),
        ("is almost full", {"soon", "full"}),
        ("has no ready replicas", {"down", "replicas"}),
        ("configurations differ", {"differ"}),
        ("nothing of that kind", set()),
    ],
)
def test_what_a_text_is_about(text, about):
    assert concepts(stems(text)) == about
