"""`python -m evals.autonomy`: how often an action is promoted that has not earned it, and how soon one that has.

Exact, by following the distribution of successes from trial to trial; nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from service.guard.record import SuccessRecord

_RATES = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)
_BAR = 0.8
_TRIALS = 100

Passes = Callable[[SuccessRecord], bool]


def ever_promoted(rate: float, bar: float, trials: int, passes: Passes | None = None) -> float:
    """The probability that an action of that true rate of success is promoted within so many trials.

    One looks after each trial. `passes` is the rule, else the one in force.
    """
    return list(_promoted(rate, trials, passes or _in_force(bar)))[-1]


def median_trials(rate: float, bar: float, trials: int, passes: Passes | None = None) -> int | None:
    """After how many trials one half is promoted; None where that is not so within `trials`."""
    by_then = enumerate(_promoted(rate, trials, passes or _in_force(bar)), 1)
    return next((trial for trial, probability in by_then if probability >= 0.5), None)


def _in_force(bar: float) -> Passes:
    return lambda record: record.reaches(bar)


def _promoted(rate: float, trials: int, passes: Passes) -> Iterator[float]:
    """After each trial, the probability of having been promoted by then."""
    waiting, least = np.array([1.0]), 0
    for trial in range(1, trials + 1):
        waiting = np.append(waiting * (1 - rate), 0.0) + np.append(0.0, waiting * rate)
        # Another trial never makes fewer successes enough.
        least = next((s for s in range(least, trial + 1) if passes(SuccessRecord(s, trial))), trial + 1)
        waiting[least:] = 0.0
        yield 1.0 - float(waiting.sum())


def main() -> None:
    """Print the table of docs/decisions/earned-autonomy.md."""

    def alone(record: SuccessRecord) -> bool:
        return record.lower_bound >= _BAR

    print(f"promoted within {_TRIALS} trials, looked at after each, bar {_BAR} (trials until one half is)")
    print("true rate   Clopper-Pearson alone   both bounds")
    for rate in _RATES:
        cells = [
            f"{ever_promoted(rate, _BAR, _TRIALS, rule):7.2%} ({median_trials(rate, _BAR, _TRIALS, rule) or '-'})"
            for rule in (alone, None)
        ]
        print(f"{rate:9.2f}   {cells[0]:<21}   {cells[1]}")


if __name__ == "__main__":
    main()
