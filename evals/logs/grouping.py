"""`python -m evals.logs.grouping DIR`: how well lines are grouped into templates, on the labelled lines of LogHub.

DIR holds the `*_2k.log_structured.csv` files of https://github.com/logpai/loghub, in whatever folders. Accuracy as in
Zhu et al., "Tools and Benchmarks for Automated Log Parsing" (ICSE-SEIP 2019): the share of lines whose group is exactly
the labelled one.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from models.detection.logs.levels import UNKNOWN, level_named
from models.detection.logs.masking import mask, telling_line
from models.detection.logs.templates import Templates

_UNBOUNDED = 1_000_000


def figures(rows: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Of the rows of one file: `accuracy`, `templates` and `labelled`, and `new_found`, the share of labelled templates
    whose first line made a template of its own, so that it would be seen as new.
    """
    templates = Templates(_UNBOUNDED)
    groups: dict[int, set[int]] = defaultdict(set)
    labelled: dict[str, set[int]] = defaultdict(set)
    made_new = set()
    for place, row in enumerate(rows):
        level = level_named(row.get("Level") or "") or UNKNOWN
        template, fresh = templates.add(level, mask(telling_line(row["Content"])), float(place))
        groups[template.id].add(place)
        labelled[row["EventId"]].add(place)
        if fresh:
            made_new.add(place)
    exact = set(map(frozenset, labelled.values()))
    return {
        "accuracy": round(sum(len(group) for group in groups.values() if group in exact) / len(rows), 3),
        "new_found": round(sum(min(lines) in made_new for lines in labelled.values()) / len(labelled), 3),
        "templates": len(groups),
        "labelled": len(labelled),
    }


def main(folder: Path) -> int:
    """Print the figures of each file, and the means; 2 where there is none."""
    files = sorted(folder.rglob("*_2k.log_structured.csv"), key=lambda file: file.name)
    if not files:
        sys.stderr.write(f"{folder} holds no *_2k.log_structured.csv of LogHub\n")
        return 2
    found = {file.name.split("_")[0]: figures(_rows(file)) for file in files}
    every = list(found.values())
    means = {"all": _means(every), "chosen_on": _means(every[::2]), "others": _means(every[1::2])}
    sys.stdout.write(json.dumps({"files": found, "mean": means}, indent=2) + "\n")
    return 0


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", errors="replace", newline="") as stream:
        return list(csv.DictReader(stream))


def _means(found: Iterable[dict[str, Any]]) -> dict[str, float]:
    rows = list(found)
    return {name: round(sum(row[name] for row in rows) / len(rows), 3) for name in ("accuracy", "new_found")}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("say where the files of LogHub are: python -m evals.logs.grouping DIR")
    sys.exit(main(Path(sys.argv[1])))
