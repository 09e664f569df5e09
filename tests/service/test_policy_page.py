"""docs/policy.md: its examples are policies, and its table has every word of the context."""

import re
import textwrap
from pathlib import Path

from service.guard.policy import load_policies
from service.guard.policy_schema import CONTEXT
from service.registry import verb_catalogue

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def test_the_examples_fit_the_schema(tmp_path):
    examples = PAGE.split("## Examples\n")[1].split("\n## ")[0]
    (tmp_path / "page.cedar").write_text(textwrap.dedent(examples))
    names = load_policies(tmp_path, verb_catalogue()).names
    assert names == ("friday-freeze", "budget-spent", "ledger-two-people", "ann-ledger", "not-bob", "quiet-staging")


def test_every_word_of_the_context_is_explained():
    words = set(re.findall(r"`([a-z_.]+)`", PAGE))
    for name, kind in CONTEXT.items():
        inner = (
            [f"{name}.{each.removesuffix('?')}" for each in kind]
            if isinstance(kind, dict)
            else [name.removesuffix("?")]
        )
        assert set(inner) <= words, name
