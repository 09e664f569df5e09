"""Saved plans: each in a folder that is named by the SHA-256 of the plan, with what it was made for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from models.domain.base import Clock, Frozen, Time, format_duration
from service.executors.arguments import refused
from service.executors.terraform_settings import ModuleName, Value, Workspace
from service.ports import Effect, ExecutorError

_MAKING = ".making-"
_KEPT_AFTER = timedelta(days=1)
"""How long a plan is kept when it may not be applied any more: a crash in its apply is still to be asked about."""
_NOT_SOURCE = frozenset({".terraform", "terraform.tfstate.d", ".git"})
"""Folders that Terraform or git write by themselves."""


class Origin(Frozen):
    """What a plan was made for. `version`: the module's, see `module_version`."""

    module: ModuleName
    workspace: Workspace
    version: str
    made_at: Time


@dataclass(frozen=True)
class SavedPlan:
    """The folder of one plan."""

    folder: Path
    origin: Origin

    @property
    def file(self) -> Path:
        """What `terraform plan -out` wrote."""
        return self.folder / "plan"

    @property
    def variables(self) -> Path:
        """The var-file that it was made with."""
        return self.folder / "variables.tfvars.json"

    @property
    def errors(self) -> Path:
        """Where Terraform's words go when it is applied."""
        return self.folder / "errors"

    def mark_started(self, key: str) -> None:
        """Note, before it is begun, that this call applies the plan. On disk when this returns."""
        with self._mark(key).open("wb") as file:
            os.fsync(file.fileno())
        _sync_folder(self.folder)

    def was_started(self, key: str) -> bool:
        """Whether an apply may have been begun for the call."""
        return self._mark(key).exists()

    def _mark(self, key: str) -> Path:
        return self.folder / f"started-{hashlib.sha256(key.encode()).hexdigest()}"


@dataclass(frozen=True)
class Plans:
    """The executor's own folder of saved plans."""

    folder: Path
    lifetime: timedelta
    clock: Clock

    @contextmanager
    def workbench(self, variables: Mapping[str, Value]) -> Iterator[Path]:
        """A private folder with `variables.tfvars.json` in it, to make a plan in. Gone afterwards unless kept."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=_MAKING, dir=self.folder))  # for its owner alone
        try:
            # JSON: Terraform takes the strings of such a file as they are, `${…}` too.
            (path / "variables.tfvars.json").write_text(json.dumps(dict(variables), allow_nan=False))
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)  # what cannot be removed now is swept later

    def keep(self, workbench: Path, origin: Origin) -> str:
        """Keep the plan in `workbench/plan`, under its SHA-256, which is returned.

        Raises ExecutorError where the same plan is kept for another module: within a second, of equal files.
        """
        (workbench / "origin.json").write_text(origin.model_dump_json())
        (workbench / "plan").chmod(0o400)
        digest = file_digest(workbench / "plan")
        if (self.folder / digest).exists():
            kept = self.find(digest).origin
            if (kept.module, kept.workspace, kept.version) != (origin.module, origin.workspace, origin.version):
                raise ExecutorError("the same plan is kept for another module", retriable=True, effect=Effect.ABSENT)
            return digest
        workbench.rename(self.folder / digest)
        _sync_folder(self.folder)
        return digest

    def find(self, digest: str) -> SavedPlan:
        """The plan of that SHA-256. Raises ExecutorError where there is none, or where the file has another one now."""
        folder = self.folder / digest
        try:
            origin = Origin.model_validate_json((folder / "origin.json").read_bytes())
            found = file_digest(folder / "plan")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise refused(f"there is no saved plan {digest}; make one with terraform/plan") from error
        except (OSError, ValidationError) as error:
            raise refused(f"the saved plan {digest} cannot be read: {error}") from error
        if found != digest:
            raise refused(f"the saved plan {digest} was changed: its file now has the SHA-256 {found}")
        return SavedPlan(folder, origin)

    def check_age(self, plan: SavedPlan) -> None:
        """Raises ExecutorError where the plan is older than it may be."""
        age = self.clock() - plan.origin.made_at
        if age > self.lifetime:
            limit = format_duration(self.lifetime)
            raise refused(f"the plan was made {format_duration(age)} ago; plan_lifetime is {limit}")

    def sweep(self) -> None:
        """Remove what is too old to be applied or asked about: plans hold values in the clear."""
        oldest = (self.clock() - self.lifetime - _KEPT_AFTER).timestamp()
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)  # another replica may be at it


@contextmanager
def file_errors() -> Iterator[None]:
    """Turns an OSError into an ExecutorError: what is inside only gets a plan ready, and changes no target."""
    try:
        yield
    except OSError as error:
        raise refused(f"files of the plan or the module cannot be used: {error}") from error


def module_version(module: Path) -> str:
    """The SHA-256 of the names and contents of the module's files: configuration, var-files, templates, the lock file.

    State, and what `terraform init` fetched, are left out. Modules that it refers to outside its folder are not seen.
    """
    digest = hashlib.sha256()
    for path in sorted(_sources(module)):
        digest.update(f"{path.relative_to(module)}\0{file_digest(path)}\0".encode())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sources(module: Path) -> Iterator[Path]:
    for folder, inner, files in os.walk(module):
        inner[:] = [name for name in inner if name not in _NOT_SOURCE]
        yield from (Path(folder) / name for name in files if ".tfstate" not in name)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
