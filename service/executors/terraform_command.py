"""Runs Terraform's commands within a time limit, in an environment that the settings name."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.domain.base import format_duration
from models.domain.errors import BadInput
from service.executors.arguments import refused
from service.executors.bounded import Finished, NotStarted, run_bounded
from service.executors.hiding import hidden
from service.executors.outlived import KEY_VARIABLE, running
from service.executors.terraform_changes import PlanDocument, read_plan
from service.executors.terraform_settings import Module, TerraformConfig
from service.ports import Call, Effect, ExecutorError

_LAST_WORDS = 2000
"""Characters of standard error in an error's words."""
_QUIETLY = (
    "import os, sys;"
    "os.dup2(os.open(os.devnull, os.O_WRONLY), 1);"
    "os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2);"
    "os.execv(sys.argv[2], sys.argv[2:])"
)
"""Becomes the program in the arguments, with its words in a file. A pipe would be broken when the service is killed,
and Terraform would die of its next line of progress, in mid-apply, with its state unwritten."""
_PATIENCE = 0.25
"""The share of an apply's time that is left to it, after it was asked to stop, to end what is under way."""
_LOCKED = re.compile(r"^Error: Error acquiring the state lock", re.MULTILINE)
_STALE = re.compile(r"^Error: Saved plan (is stale|does not match the given state)", re.MULTILINE)
"""Words with which Terraform 1.11 and OpenTofu turn down an apply before anything was begun."""


class StateMark(BaseModel):
    """Where a state stands: `lineage` is its identity, `serial` grows with each change. Both empty: there is none."""

    model_config = ConfigDict(frozen=True)

    lineage: str = ""
    serial: int = 0


@dataclass
class _Brake:
    """Looked at while Terraform runs: tells it to stop, once, when a person asks for it or when `soft` has come."""

    call: Call
    soft: float
    told: bool = False

    def __call__(self) -> bool:
        """Always False: an apply is not ended by force before its time is over."""
        if not self.told and (self.call.cancelled() or time.monotonic() > self.soft):
            self.told = True
            for process in running(self.call.key):
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(process, signal.SIGINT)
        return False


@dataclass(frozen=True)
class Terraform:
    """The program, in one module and workspace, for one call. `deadline`: seconds of the monotonic clock."""

    config: TerraformConfig
    module: Module
    workspace: str
    call: Call
    secret: Callable[[str], str]
    inherited: Mapping[str, str]
    deadline: float

    def plan(self, workbench: Path, *, variables: Path) -> bool:
        """Write a plan to `workbench/plan`; whether it would change anything. Raises ExecutorError, with no effect."""
        files = [f"-var-file={variables}", f"-out={workbench / 'plan'}"]
        finished = self._run(["plan", *self._common(), "-detailed-exitcode", *files], cancelled=self.call.cancelled)
        if finished.exit_code not in (0, 2) or finished.timed_out or finished.cancelled:
            retriable = _LOCKED.search(finished.stderr.text) is not None
            raise ExecutorError(
                self._words("plan", finished, finished.stderr.text), retriable=retriable, effect=Effect.ABSENT
            )
        return finished.exit_code == 2

    def show(self, plan: Path) -> PlanDocument:
        """What a plan says. Raises ExecutorError, with no effect."""
        return read_plan(self._read(["show", "-no-color", "-json", str(plan)]))

    def state(self) -> StateMark:
        """Where the state stands. Raises ExecutorError, with no effect."""
        text = self._read(["state", "pull"])
        try:
            return StateMark.model_validate(json.loads(text) if text.strip() else {})
        except (ValueError, ValidationError) as error:
            raise refused("the state has no lineage and serial that can be read") from error

    def apply(self, plan: Path, *, errors: Path) -> None:
        """Apply a saved plan. Raises ExecutorError; its effect is ABSENT where Terraform turned the plan down at once.

        What it says on standard error goes to the file `errors`.
        Where a person asks to stop, and when the time is nearly over, Terraform is told to stop once: it ends what is
        under way, writes the state and starts nothing more. It is ended by force only when all of the time is over.
        """
        brake = _Brake(self.call, self.deadline - _PATIENCE * (self.deadline - time.monotonic()))
        launcher = (sys.executable, "-I", "-c", _QUIETLY, str(errors))
        finished = self._run(["apply", *self._common(), str(plan)], cancelled=brake, launcher=launcher)
        if finished.exit_code == 0 and not finished.timed_out:
            return
        said = errors.read_text(errors="replace") if errors.exists() else ""
        words = self._words("apply", finished, said)
        if brake.told:
            words = f"{words} (it was told to stop)"
        if _LOCKED.search(said):
            raise ExecutorError(words, retriable=True, effect=Effect.ABSENT)
        raise ExecutorError(words, effect=Effect.ABSENT if _STALE.search(said) else Effect.UNKNOWN)

    def _common(self) -> list[str]:
        return ["-input=false", "-no-color", f"-lock-timeout={self.config.lock_timeout.total_seconds():g}s"]

    def _read(self, arguments: list[str]) -> str:
        finished = self._run(arguments, cancelled=self.call.cancelled)
        if finished.exit_code != 0 or finished.timed_out or finished.cancelled:
            raise refused(self._words(arguments[0], finished, finished.stderr.text))
        if finished.stdout.truncated:
            raise refused(f"terraform {arguments[0]} answers with more than {self.config.output_limit} bytes")
        return finished.stdout.text

    def _run(self, arguments: list[str], *, cancelled: Callable[[], bool], launcher: tuple[str, ...] = ()) -> Finished:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise refused(f"no time left for terraform {arguments[0]}")
        try:
            return run_bounded(
                [*launcher, str(self.config.binary), *arguments],
                environment=self._environment,
                folder=self.module.path,
                timeout=left,
                output_limit=self.config.output_limit,
                cancelled=cancelled,
                confirm=self.call.confirm,
            )
        except NotStarted as error:
            raise refused(f"{self.config.binary} cannot be started: {error.strerror}") from error

    @cached_property
    def _environment(self) -> dict[str, str]:
        """Resolved once: the words of an error must not depend on a secret that can be read no more."""
        return {
            **{name: self.inherited[name] for name in self.module.env if name in self.inherited},
            **{name: self._resolved(reference) for name, reference in self.module.secrets.items()},
            "TF_WORKSPACE": self.workspace,
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",  # no question to HashiCorp for a newer version
            KEY_VARIABLE: self.call.key,
        }

    def _resolved(self, reference: str) -> str:
        try:
            return self.secret(reference)
        except BadInput as error:
            raise refused(str(error)) from error

    def _words(self, command: str, finished: Finished, said: str) -> str:
        said = hidden(said, (self._environment[name] for name in self.module.secrets)).strip()[-_LAST_WORDS:]
        if finished.timed_out:
            how = f"was ended after {format_duration(self.call.timeout)}"
        else:
            how = "was cancelled" if finished.cancelled else f"ended with {finished.exit_code}"
        return f"terraform {command} {how}{f': {said}' if said else ''}"
