"""What the embedded PromQL supports, as the table in docs/telemetry.md.

`python -m service.promql.catalogue` prints it; a test compares it with the page.
"""

from __future__ import annotations

import sys

from service.promql.aggregation import AGGREGATIONS
from service.promql.functions import FUNCTIONS, INSTANT_FUNCTIONS
from service.promql.operators import OPERATORS


def support_table() -> str:
    """The table in Markdown, made from the names that the evaluation knows."""
    over_ranges = [f"{name}()" for name in FUNCTIONS if name not in INSTANT_FUNCTIONS]
    rows = {
        "Selectors": ["name", '{a="b"}', '{a!="b"}', '{a=~"regex"}', '{a!~"regex"}', "[5m]", "offset 5m", "offset -5m"],
        "Functions over a range": over_ranges,
        "Functions over an instant": [f"{name}()" for name in INSTANT_FUNCTIONS],
        "Aggregations": [*AGGREGATIONS, "by (…)", "without (…)"],
        "Operators": [*OPERATORS, "unary -", "bool"],
        "Matching": ["on (…)", "ignoring (…)", "group_left (…)", "group_right (…)"],
    }
    lines = ["| part | supported |", "|---|---|"]
    lines += [f"| {part} | {' '.join(f'`{name}`' for name in names)} |" for part, names in rows.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(support_table() + "\n")
