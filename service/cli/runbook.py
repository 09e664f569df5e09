"""`suture runbook`: lint, new, test and list."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import AsJson

if TYPE_CHECKING:
    from models.domain.incident import Incident
    from models.domain.recommendation import Candidate
    from models.domain.runbook import Runbook
    from runbooks.binding import Binding
    from runbooks.loader import Corpus

app = typer.Typer(help="Check, write, try and list runbooks.", no_args_is_help=True)


@app.command()
def lint(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders (or files) of Markdown.")],
    as_json: AsJson = False,
) -> None:
    """Explain every error with file, line and mend. Exits with 1 where there is an error; warnings do not count."""
    from runbooks.lint import lint as find
    from service.registry import verb_catalogue

    findings = find([_existing(folder) for folder in folders], verb_catalogue())
    errors = sum(finding.level == "error" for finding in findings)
    warnings = len(findings) - errors
    if as_json:
        _print_json({"errors": errors, "warnings": warnings, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            typer.echo(str(finding))
        typer.echo(f"{_count(errors, 'error')}, {_count(warnings, 'warning')}", err=True)
    if errors:
        raise typer.Exit(1)


@app.command()
def new(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits and hyphens.")],
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where to write ID.md.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a commented runbook to begin from. It lints clean; nothing that exists is overwritten."""
    from pydantic import TypeAdapter, ValidationError

    from models.domain.errors import BadInput
    from models.domain.runbook import Identifier
    from runbooks.scaffold import scaffold

    try:
        TypeAdapter(Identifier).validate_python(identifier)
    except ValidationError as error:
        raise BadInput(f"{identifier!r} is no id; use lower-case letters, digits and hyphens") from error
    path = _existing(folder) / f"{identifier}.md"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(scaffold(identifier))
    except FileExistsError as error:
        raise BadInput("the file exists; choose another id", where=str(path)) from error
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", where=str(path)) from error
    if as_json:
        _print_json({"id": identifier, "path": str(path)})
    else:
        typer.echo(f"{path}: change it, then run `suture runbook lint {path}`")


@app.command("test")
def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One runbook.")],
    incident_file: Annotated[Path, typer.Option("--incident", metavar="FILE", help="A recorded incident, as JSON.")],
    as_json: AsJson = False,
) -> None:
    """Plan a runbook against a recorded incident: triggers, candidates, and what was dropped. Nothing is executed."""
    from models.domain.base import utc_now
    from runbooks.binding import bind
    from runbooks.loader import load_runbook
    from service.contract import read_incident
    from service.registry import verb_catalogue

    runbook = load_runbook(_existing(file))
    incident = read_incident(_read(incident_file), where=str(incident_file), now=utc_now())
    binding = bind([runbook], incident, verb_catalogue())
    applies, service = runbook.id in binding.services, binding.services.get(runbook.id)
    if as_json:
        _print_json(_plan_json(runbook, applies, service, binding))
    else:
        _print_plan(runbook, incident, applies, service, binding)


@app.command("list")
def list_(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Folders. [default: those of the settings, and sources]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the corpus: every document with its actions, and what could not be read."""
    from runbooks.loader import load_corpus

    corpus = load_corpus([_existing(folder) for folder in folders]) if folders else _configured()
    if as_json:
        documents = [
            {
                "id": document.id,
                "kind": document.kind,
                "title": document.title,
                "path": document.path,
                "services": list(document.runbook.services) if document.runbook else None,
                "actions": [action.id for action in document.runbook.actions] if document.runbook else [],
            }
            for document in corpus.documents
        ]
        _print_json({"documents": documents, "problems": [asdict(problem) for problem in corpus.problems]})
        return
    width = max((len(document.id) for document in corpus.documents), default=0)
    for document in corpus.documents:
        actions = ", ".join(action.id for action in document.runbook.actions) if document.runbook else "no actions"
        typer.echo(
            f"{document.id:<{width}}  {document.title}  ({actions if document.kind == 'runbook' else 'postmortem'})"
        )
    for problem in corpus.problems:
        typer.echo(str(problem), err=True)


def _configured() -> Corpus:
    from service.corpus import read_corpus
    from service.settings import load_settings

    return read_corpus(load_settings())


def _plan_json(runbook: Runbook, applies: bool, service: str | None, binding: Binding) -> dict[str, Any]:
    return {
        "runbook": runbook.id,
        "applies": applies,
        "service": service,
        "matched": [asdict(match) for match in binding.matched],
        "candidates": [candidate.model_dump(mode="json", by_alias=True) for candidate in binding.candidates],
        "diagnoses": [bound.check.model_dump(mode="json", by_alias=True) for bound in binding.diagnoses],
        "dropped": [dropped.model_dump(mode="json") for dropped in binding.dropped],
        "gaps": list(binding.gaps),
    }


def _print_plan(runbook: Runbook, incident: Incident, applies: bool, service: str | None, binding: Binding) -> None:
    typer.echo(f"{runbook.id}: {runbook.title}\nincident: {incident.title}")
    if not applies:
        typer.echo(
            f"does not apply: {', '.join(runbook.services)} fits none of {', '.join(incident.services) or '(none)'}"
        )
        return
    typer.echo(f"applies to: {service or 'an incident that names no service'}")
    for match in binding.matched:
        typer.echo(f"trigger matches the signal {match.name}: {match.trigger}")
    if not binding.matched:
        typer.echo("no trigger matches a signal")
    for candidate in binding.candidates:
        _print_lines(_candidate_lines(candidate))
    for dropped in binding.dropped:
        typer.echo(f"dropped {dropped.action}: {dropped.reason}")
    _print_lines(f"gap: {gap}" for gap in binding.gaps)
    typer.echo("dry run: nothing was executed, and no check was measured", err=True)


def _candidate_lines(candidate: Candidate) -> Iterable[str]:
    yield f"candidate {candidate.action}: {candidate.title}"
    yield f"  does      {candidate.uses} {json.dumps(candidate.arguments)} on {candidate.target}"
    yield f"  guard     risk {candidate.risk}, approval {candidate.approval}, reversible {candidate.reversible}"
    for check in candidate.preconditions:
        yield f"  only if   {check.subject} {check.condition}"
    for check in candidate.verify:
        yield f"  verified  {check.subject} {check.condition} within {check.within} for {check.hold}"
    if candidate.rollback is not None:
        yield f"  rollback  {candidate.rollback.uses} {json.dumps(candidate.rollback.arguments)}"


def _existing(path: Path) -> Path:
    from models.domain.errors import BadInput

    if not path.exists():
        raise BadInput("there is no such file or folder", where=str(path))
    return path


def _read(path: Path) -> str:
    from models.domain.errors import BadInput

    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise BadInput("is not UTF-8", where=str(path)) from error


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
