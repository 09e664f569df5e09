"""What leaves is without secrets and personal data, reads as before, and can be turned back."""

from __future__ import annotations

import json
import time

import pytest

from evals.redaction.corpus import PLAIN
from evals.redaction.measure import measure
from models.redaction import Redaction, Restorer, redact

MAIL = "ada.l@example.com"


def test_the_corpus_is_found_and_ordinary_lines_stay():
    found = measure(rounds=3, seed=11)
    assert found.missed == []
    assert found.wrong == []
    assert found.plain_lines == len(PLAIN)


def test_one_value_has_one_placeholder_so_that_reasoning_survives():
    text = f"{MAIL} asked; grace@example.com answered; {MAIL} closed"
    redacted = redact(text)
    assert redacted.text == "[EMAIL-1] asked; [EMAIL-2] answered; [EMAIL-1] closed"
    assert redacted.restore(redacted.text) == text


def test_a_secret_that_was_named_once_is_found_where_it_is_not():
    redacted = redact("password=Zebra77stripes\nlogin with Zebra77stripes refused")
    assert redacted.text == "password=[SECRET-1]\nlogin with [SECRET-1] refused"


def test_a_word_as_a_password_does_not_hide_that_word_everywhere():
    assert redact("password=candidates\nCandidate ids: candidates").text.endswith("ids: candidates")


def test_a_text_that_holds_a_placeholder_itself_is_turned_back_as_it_was():
    text = f"the log says [EMAIL-1] and {MAIL}"
    redacted = redact(text)
    assert redacted.text == "the log says [EMAIL-1] and [EMAIL-2]"
    assert redacted.restore(redacted.text) == text


def test_placeholders_in_json_are_turned_back_as_json():
    value = "quo'te\\nback 7"
    redacted = redact(f'password="{value}"')
    assert redacted.text == 'password="[SECRET-1]"'
    answer = json.dumps({"text": "It is [SECRET-1]."})
    assert json.loads(redacted.restore(answer, in_json=True))["text"] == f"It is {value}."
    assert redacted.restore("[SECRET-9]") == "[SECRET-9]"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_an_answer_in_pieces_is_turned_back_wherever_it_is_cut(size):
    redacted = redact(f"{MAIL} and grace@example.com")
    answer = '{"order": ["c1"], "text": "[EMAIL-2] then [EMAIL-1], [not one] [EMAIL-9]"}'
    heard: list[str] = []
    restorer = Restorer(redacted, heard.append)
    for start in range(0, len(answer), size):
        restorer.hear(answer[start : start + size])
    assert "".join(heard) == redacted.restore(answer, in_json=True)


def test_what_is_replaced_is_a_setting():
    text = f"{MAIL} from 8.8.8.8 and 10.0.0.1 with password=hunter22, 2001:4860:4860::8888"
    assert redact(text, Redaction(secrets=False, personal=False)).text == text
    assert "hunter22" in redact(text, Redaction(secrets=False)).text
    assert MAIL in redact(text, Redaction(personal=False)).text
    hidden = redact(text, Redaction(public_addresses=True)).text
    assert "8.8.8.8" not in hidden
    assert "8888" not in hidden
    assert "10.0.0.1" in hidden


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----\nMIIEvQ\nEND DATA 0123456789abcdef\nnext",
        "-----BEGIN RSA PRIVATE KEY-----\nEND DATA 0123456789abcdef\n-----END RSA PRIVATE KEY-----",
        'password="\nEND DATA 0123456789abcdef\n"',
        "Authorization: Bearer\nEND DATA 0123456789abcdef",
        "cookie: a=\nEND DATA 0123456789abcdef",
    ],
)
def test_no_secret_swallows_the_line_that_ends_a_fence(text):
    assert "\nEND DATA 0123456789abcdef\n" in redact(text).text + "\n"


@pytest.mark.parametrize(
    "piece",
    ["a", "a@", "password=", "1 ", "-----BEGIN PRIVATE KEY-----\n", "eyJ", ":", "A", "+1 ", "://a:", "a-", "a.token "],
)
def test_a_hostile_text_takes_no_longer_than_its_length(piece):
    began = time.process_time()
    redact(piece * (16_000 // len(piece)), Redaction(public_addresses=True))
    assert time.process_time() - began < 2
