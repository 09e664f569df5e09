"""`python -m evals.redaction`: precision and recall of redaction, as JSON; what was missed, on standard error."""

from __future__ import annotations

import json
import sys

from evals.redaction.measure import measure


def main() -> None:
    """Print the figures."""
    found = measure()
    for words in (*found.missed, *found.wrong):
        sys.stderr.write(f"{words}\n")
    sys.stdout.write(json.dumps(found.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
