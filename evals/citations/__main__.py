"""`python -m evals.citations [N]`: N justifications (200) by the real small model; prints what was dropped and shown.

Exits with 1 where an unsupported quote was shown. Needs the extra `local-model`. An interrupt prints the figures so
far.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

from evals.citations.judge import read_texts
from evals.citations.run import run
from evals.local_model import MODEL, serve_local_model
from runbooks import LIBRARY
from runbooks.loader import load_corpus
from service.language import LiteLLMModel


def main() -> None:
    """Print the counts as JSON."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    documents = load_corpus([LIBRARY]).documents
    with serve_local_model() as base_url:
        model = LiteLLMModel(
            MODEL, base_url=base_url, timeout=timedelta(minutes=10), max_tokens=450, answer_format="schema"
        )
        counts = run(documents, read_texts(LIBRARY), model, wanted)
    for words in counts.unsupported:
        sys.stderr.write(f"{words}\n")
    sys.stdout.write(json.dumps(counts.figures(), indent=2) + "\n")
    sys.exit(bool(counts.unsupported))


if __name__ == "__main__":
    main()
