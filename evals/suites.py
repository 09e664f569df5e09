"""Every evaluation suite on the labelled data of one folder: what `suture eval all` runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evals.reporting.section import Section

DATA_VARIABLE = "SUTURE_DATA"
_ROOT = Path(__file__).resolve().parent.parent
_DEFAULT_DATA = _ROOT / ".." / "shared" / "data"
_SANDBOX_BOOKS = ("runbooks/library", "evals/sandbox/runbooks", "evals/sandbox/causes")

Result = dict[str, Any]


@dataclass(frozen=True)
class Suite:
    """One suite. `needs` are files or folders that it cannot do without; `run` takes the output folder."""

    name: str
    needs: tuple[Path, ...]
    run: Callable[[Path], Result]
    command: str
    """What prints the same figures by itself."""

    def missing(self) -> list[str]:
        """What is not there."""
        return [str(each) for each in self.needs if not each.exists()]


def data_folder() -> Path:
    """Where the labelled data is: `SUTURE_DATA`, else `../shared/data` beside the repository."""
    return Path(os.environ.get(DATA_VARIABLE) or _DEFAULT_DATA).resolve()


def suites(data: Path, incidents: Sequence[Path] = (), runbooks: Sequence[Path] = ()) -> tuple[Suite, ...]:
    """All suites over the data of a folder, and over files of labelled incidents with the runbooks to choose from.

    Without files, those of the sandbox: `incidents.jsonl` of `make incidents` where it is, else the sample.
    """
    own = [_incidents(path, runbooks) for path in incidents] or [_sandbox_incidents()]
    return (
        *own,
        *(_retrieval(data, mode) for mode in ("name", "desc", "expr")),
        _ranking(data),
        _culprit(data),
        _detection(data),
    )


def sections(results: Mapping[str, Result], run: Sequence[Suite]) -> list[Section]:
    """The results as parts of the report: the three ways to ask of retrieval are one."""
    from evals.reporting.incidents import incidents_section
    from evals.reporting.others import culprit_section, detection_section, ranking_section
    from evals.reporting.retrieval import retrieval_section

    commands = {suite.name: suite.command for suite in run}
    found = [
        incidents_section(result, f"Incidents of {Path(result['file']).name}", commands[name])
        for name, result in results.items()
        if name.startswith("incidents")
    ]
    asked = {name.split("(")[1].rstrip(")"): result for name, result in results.items() if name.startswith("retrieval")}
    if asked:
        command = commands[f"retrieval ({next(iter(asked))})"]
        found.append(retrieval_section(asked, command))
    for name, section in (("ranking", ranking_section), ("culprit", culprit_section), ("detection", detection_section)):
        if name in results:
            found.append(section(results[name], commands[name]))
    return found


def _sandbox_incidents() -> Suite:
    made, sample = _ROOT / "incidents.jsonl", _ROOT / "examples" / "incidents-labelled.jsonl"
    return _incidents(made if made.is_file() else sample, [_ROOT / folder for folder in _SANDBOX_BOOKS])


def _incidents(path: Path, runbooks: Sequence[Path]) -> Suite:
    def run(out: Path) -> Result:  # noqa: ARG001  (writes nothing)
        from evals.incidents.loading import load_incidents, topology_beside
        from evals.incidents.run import run_incidents
        from service.settings import load_settings

        folders = tuple(folder for folder in runbooks if folder.is_dir())
        with TemporaryDirectory(prefix="suture-") as state:
            settings = load_settings(state_dir=Path(state), runbooks=folders or None)
            if settings.topology is None:
                settings = settings.model_copy(update={"topology": topology_beside(path)})
            return {"file": str(path), **run_incidents(load_incidents(path), settings)}

    books = "".join(f" --runbooks {_relative(folder)}" for folder in runbooks)
    command = f"suture eval incidents {_relative(path)}{books}"
    return Suite(f"incidents ({path.name})", (path,), run, command)


def _retrieval(data: Path, mode: str) -> Suite:
    alerts, runbooks = data / "alerts" / "kube-prometheus.jsonl", data / "runbooks" / "prometheus-operator"

    def run(out: Path) -> Result:  # noqa: ARG001  (writes nothing)
        from evals.retrieval import run_retrieval

        return run_retrieval(alerts, runbooks, mode)  # type: ignore[arg-type]

    command = f"suture eval retrieval --alerts {_relative(alerts)} --runbooks {_relative(runbooks)} --mode {mode}"
    return Suite(f"retrieval ({mode})", (alerts, runbooks), run, command)


def _ranking(data: Path) -> Suite:
    file = data / "itbench" / "faults.jsonl"

    def run(out: Path) -> Result:  # noqa: ARG001  (writes nothing)
        from evals.ranking import run_ranking

        return run_ranking(file)

    return Suite("ranking", (file,), run, f"suture eval ranking --incidents {_relative(file)}")


def _culprit(data: Path) -> Suite:
    folder = data / "petshop"

    def run(out: Path) -> Result:  # noqa: ARG001  (writes nothing)
        from evals.culprit import run_culprit

        return run_culprit(folder)

    return Suite("culprit", (folder,), run, f"suture eval culprit --petshop {_relative(folder)}")


def _detection(data: Path) -> Suite:
    folder = data / "nab"

    def run(out: Path) -> Result:
        from evals.detection import run_detection

        return run_detection(folder, out / "detection")

    return Suite("detection", (folder / "data",), run, f"suture eval detection --nab {_relative(folder)} --out DIR")


def _relative(path: Path) -> str:
    """As it is written from the checkout, where it is in or beside it."""
    beside = path.is_absolute() and path.is_relative_to(_ROOT.parent)
    return os.path.relpath(path, _ROOT) if beside else str(path)
