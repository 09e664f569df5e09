"""The shop's releases, as files: what each one does, which one is current, and what was deployed when.

`releases/v1.json` and `v2.json` are configuration that the shop reads at its start. `releases/current` is a link to one
of them. `releases/history.json` tells which release ran before, and which is known to be stable.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from evals.sandbox.layout import replace_text
from models.domain.errors import BadInput

STABLE, PREVIOUS = "stable", "previous"
"""Words that stand for a version: the last known stable one, and the one that ran before."""
_HISTORY = "history.json"
_KEPT = 50
"""Deployments that the history keeps."""


@dataclass(frozen=True)
class Release:
    """What one version of the shop does."""

    version: str
    checkout_seconds: float
    """For which one checkout holds its worker. A wait, not work: it is the same on every machine, however busy."""
    asks_for_each_product: bool
    """Whether the list of products asks for the stock of each one by itself (the N+1 queries of an ORM)."""

    @classmethod
    def read(cls, file: Path) -> Self:
        """The release of a file, or of a link to one. Raises OSError where there is none."""
        return cls(**json.loads(file.read_text()))


RELEASES = (Release("v1", 0.016, asks_for_each_product=False), Release("v2", 0.016, asks_for_each_product=True))
"""The first is stable. The second answers the same, many times slower."""


@dataclass(frozen=True)
class Deployment:
    """A version that became current. `key`: of the execution that did it, empty where a person did."""

    at: str
    version: str
    key: str = ""


@dataclass(frozen=True)
class History:
    """What was deployed, oldest first, and the last version that is known to be stable."""

    stable: str
    deployments: tuple[Deployment, ...] = field(default=())

    @property
    def current(self) -> str:
        """The version deployed last."""
        return self.deployments[-1].version

    @property
    def previous(self) -> str:
        """The version before the last change."""
        before = [one.version for one in self.deployments if one.version != self.current]
        return before[-1] if before else self.current

    def since(self, version: str) -> datetime:
        """Since when a version is out. A return to the stable one is no news: that counts from its first time."""
        times = [datetime.fromisoformat(one.at) for one in self.deployments if one.version == version]
        return times[0] if version == self.stable else times[-1]

    def deployed(self, version: str, at: datetime, key: str) -> History:
        """The history after one more deployment.

        What ran before a new release is the stable one. Going back to the stable one leaves it so: what was left behind
        does not become stable by having run.
        """
        stable = self.stable if version in (self.stable, self.current) else self.current
        made = Deployment(at.isoformat(), version, key)
        return replace(self, stable=stable, deployments=(*self.deployments, made)[-_KEPT:])


class Releases:
    """The folder of releases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def pointer(self) -> Path:
        """The link that the shop follows at its start."""
        return self._folder / "current"

    def file(self, version: str) -> Path:
        """A release's own file."""
        return self._folder / f"{version}.json"

    def create(self, at: datetime) -> None:
        """Write all releases; the first is current and stable, deployed `at`."""
        for release in RELEASES:
            self.file(release.version).write_text(json.dumps(asdict(release), indent=1))
        first = RELEASES[0].version
        self._point(first)
        self._write(History(first, (Deployment(at.isoformat(), first),)))

    def history(self) -> History:
        """Raises BadInput where the folder cannot be read."""
        try:
            told = json.loads((self._folder / _HISTORY).read_text())
        except OSError as error:
            raise BadInput(f"the shop's releases cannot be read: {error}") from error
        return History(told["stable"], tuple(Deployment(**one) for one in told["deployments"]))

    def resolve(self, word: str, key: str = "") -> str:
        """The version that a word means: `v1`, `stable` or `previous`. Raises BadInput where there is no such release.

        A deployment of the same `key` has settled that already: `previous` would mean another version after it.
        """
        history = self.history()
        settled = [one.version for one in history.deployments if key and one.key == key]
        words = {STABLE: history.stable, PREVIOUS: history.previous}
        version = settled[-1] if settled and word in words else words.get(word, word)
        if not self.file(version).is_file():
            known = ", ".join(sorted(file.stem for file in self._folder.glob("v*.json")))
            raise BadInput(f"there is no release {version!r}: choose one of {known}, {STABLE} or {PREVIOUS}")
        return version

    def pointed(self) -> str:
        """The version that the link names: what the shop reads at its next start."""
        return self.pointer.readlink().name.removesuffix(".json")

    def deploy(self, version: str, at: datetime, key: str = "") -> None:
        """Make a version current for the next start of the shop. A repetition under the same key is recorded once."""
        history = self.history()
        self._point(version)
        if not (key and history.deployments[-1].key == key):
            self._write(history.deployed(version, at, key))

    def _point(self, version: str) -> None:
        link = self._folder / ".current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(self.file(version).name)
        link.replace(self.pointer)

    def _write(self, history: History) -> None:
        replace_text(self._folder / _HISTORY, json.dumps(asdict(history), indent=1))
