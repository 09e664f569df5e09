"""`python -m evals.culprits.robustness [--petshop DIR]`: would localisation hold on issues that nobody looked at?

Two answers. The weights never saw PetShop; the bounds on which they rest are chosen anew with each kind of fault left
out in turn and judged on that kind alone. And every issue is perturbed, see `perturbations.py`. Choosing sees perturbed
issues too: on the plain ones alone most bounds are equally good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from evals.culprit import hit_at, localise_issue
from evals.culprits.perturbations import PERTURBATIONS
from evals.culprits.petshop import Issue, read_petshop
from evals.suites import data_folder
from models.localisation.measures import DEFAULT, Bounds

GRID = tuple(Bounds(noise=noise, explains=share) for noise, share in product((2.0, 3.0, 4.0), (0.4, 0.5, 0.6)))
SEEDS = 8


def hit(issue: Issue, bounds: Bounds = DEFAULT) -> float:
    """Top-1 of one issue, ties by expectation."""
    return hit_at(dict(localise_issue(issue, bounds)), issue.gold, 1)


def perturbed(issues: Sequence[Issue], seeds: int = SEEDS) -> dict[str, float]:
    """Top-1 by perturbation, the mean over issues and seeds."""
    return {
        one.name: float(np.mean([hit(one.change(rng, issue)) for rng in _generators(seeds) for issue in issues]))
        for one in PERTURBATIONS
    }


def left_out(issues: Sequence[Issue]) -> dict[str, dict[str, Any]]:
    """By kind of fault: the bounds that do best on all other kinds, and top-1 on this one with them."""
    rng = np.random.default_rng(0)
    variants = [[issue, *(one.change(rng, issue) for one in PERTURBATIONS)] for issue in issues]
    # [bounds, issues]
    skill = np.array([[np.mean([hit(one, bounds) for one in each]) for each in variants] for bounds in GRID])
    kinds = np.array([issue.fault for issue in issues])
    found: dict[str, dict[str, Any]] = {}
    for kind in sorted(set(kinds)):
        inside = kinds == kind
        best = skill[:, ~inside].mean(axis=1)
        bounds = GRID[int(np.argmax(best))]
        hits = [hit(issue, bounds) for issue, left in zip(issues, inside, strict=True) if left]
        found[kind] = {"n": len(hits), "top1": float(np.mean(hits)), "bounds": bounds}
    return found


def top1_left_out(found: Mapping[str, Mapping[str, Any]]) -> float:
    """Top-1 over all issues, each judged with bounds that its kind of fault had no part in."""
    return float(sum(one["n"] * one["top1"] for one in found.values()) / sum(one["n"] for one in found.values()))


def _generators(seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(seeds)]


def main(
    petshop: Annotated[Path | None, typer.Option(metavar="DIR", help="[default: SUTURE_DATA/petshop]")] = None,
) -> None:
    """Print both tables."""
    issues, notes = read_petshop(petshop or data_folder() / "petshop")
    found = left_out(issues)
    for kind, one in found.items():
        bounds = one["bounds"]
        chosen = f"noise {bounds.noise:g}, explains {bounds.explains:g}"
        typer.echo(f"left out: {kind:<58} n {one['n']:>2}  top-1 {one['top1']:.3f}  ({chosen})")
    typer.echo(f"top-1 with each kind of fault left out of tuning in turn: {top1_left_out(found):.3f} of {len(issues)}")
    for name, value in perturbed(issues).items():
        typer.echo(f"perturbed: {name:<28} top-1 {value:.3f}")
    for note in notes:
        typer.echo(note, err=True)


if __name__ == "__main__":
    typer.run(main)
