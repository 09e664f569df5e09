"""Plays scenarios: sandbox and service up, one failure after the other, everything mended in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

from evals.sandbox.client import Client
from evals.sandbox.config import write_settings
from evals.sandbox.episode import Episode, Event
from evals.sandbox.fault import Fault
from evals.sandbox.follower import Ask, Follower
from evals.sandbox.sandbox import Sandbox
from evals.sandbox.scenarios import HandOver, Scenario
from evals.sandbox.service import RunningService
from evals.sandbox.warmup import settle
from models.domain.errors import Unavailable


class Teller(Protocol):
    """Tells a person what happens, while it does."""

    def say(self, text: str) -> None:
        """A line of its own."""

    def chapter(self, title: str) -> None:
        """A scenario begins."""

    def wait_for(self, words: str) -> None:
        """What is waited for."""

    def wait_no_more(self) -> None:
        """The wait is over."""

    def show(self, event: Event) -> None:
        """A stage that was reached."""


@dataclass(frozen=True)
class Play:
    """What is played, and how."""

    teller: Teller
    folder: Path
    ask: Callable[[RunningService], Ask]
    """How a person is asked about an execution."""
    detect_within: float = 60.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    """In place of the sandbox's settings."""
    seed: int = 1
    to_the_end: bool = False
    """Whether the scenarios after one that failed are played too, with a fresh sandbox and service."""

    def run(self, scenarios: Sequence[Scenario]) -> list[Episode]:
        """All of them, in order; a scenario's follow-up is an episode of its own."""
        left, episodes = list(scenarios), list[Episode]()
        while left:
            same = _with_same_settings(left)
            # The first one has the folder itself, which a person may look into afterwards.
            folder = self.folder / f"part-{len(scenarios) - len(left) + 1}" if episodes else self.folder
            played, done = self._together(folder, same)
            episodes += played
            left = left[done:]
            if episodes[-1].failure and not self.to_the_end:
                break
        return episodes

    def _together(self, folder: Path, scenarios: Sequence[Scenario]) -> tuple[list[Episode], int]:
        """Scenarios that share a service, until one fails; how many of them were played."""
        self.teller.say(f"Sandbox: PostgreSQL, a shop and its customers start in {folder} …")
        episodes: list[Episode] = []
        with Sandbox.start(folder, seed=self.seed) as sandbox:
            settings = write_settings(sandbox.layout, **scenarios[0].settings_with(self.settings))
            with RunningService.start(settings, sandbox.layout.folder) as service:
                self.teller.say(f"Service: `suture serve` answers at {service.url}.")
                self.teller.say("It scrapes the sandbox every second and learns what is normal: about a minute …")
                for number, scenario in enumerate(scenarios, 1):
                    episodes += self._scenario(scenario, sandbox, service)
                    if episodes[-1].failure:
                        return episodes, number
        return episodes, len(scenarios)

    def _scenario(self, scenario: Scenario, sandbox: Sandbox, service: RunningService) -> list[Episode]:
        fault = scenario.fault(sandbox)
        self.teller.wait_for("watching the healthy system")
        try:
            fault.prepare()
            settle(service, sandbox)
        except Unavailable as error:
            return [Episode(scenario.name, fault.title, scenario.ending, failure=str(error))]
        finally:
            self.teller.wait_no_more()
        faults = [fault]
        try:
            episodes = [self._episode(scenario.name, fault, scenario.hand_over, service)]
            if scenario.then is not None and episodes[0].failure is None:
                faults.append(scenario.then(sandbox))
                episodes.append(self._episode(faults[-1].name, faults[-1], None, service))
        finally:
            for each in reversed(faults):
                each.heal()
        return episodes

    def _episode(self, name: str, fault: Fault, hand_over: HandOver | None, service: RunningService) -> Episode:
        self.teller.chapter(fault.title)
        show, ask = self.teller.show, self.ask(service)
        return Follower(Client(service), name, fault, hand_over, show, ask, self.detect_within).run()


def _with_same_settings(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Those from the first on that can share its service."""
    first = scenarios[0]
    return list(takewhile(lambda one: (one.settings, one.runbooks) == (first.settings, first.runbooks), scenarios))
