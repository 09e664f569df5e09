"""Runs allow-listed programs with an argument list, never through a shell."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from models.domain.base import Frozen, format_duration
from models.domain.errors import BadInput
from service.executors.arguments import read_arguments, refused
from service.executors.bounded import Finished, run_bounded
from service.executors.outlived import KEY_VARIABLE, running, wait_until_ended
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import read_config

_ARGV_BYTES = 32_768
"""Far below what the kernel takes (ARG_MAX, 128 KiB and more), far above what an action needs."""
_LAST_WORDS = 2000
"""Characters of standard error in an error's words; the rest is not of help in a ticket."""

Argument = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]
ProgramName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class ScriptInputs(Frozen):
    """A program by the name that the settings give it, and its arguments, each passed on as it is."""

    program: ProgramName
    args: tuple[Argument, ...] = Field(default=(), max_length=64)


class ScriptOutputs(Frozen):
    """How it ended. The texts are the last part of each stream where it was longer than the cap."""

    exit_code: int
    stdout: str
    stderr: str
    truncated: bool


VERBS = {
    "run": Verb("run", "Run an allow-listed program", ScriptInputs, ScriptOutputs, idempotent=False, observable=True)
}


class Program(Frozen):
    """One allowed program.

    `args_pattern` must match each argument as a whole. `env` names the variables that it gets from the service's
    environment; all others are left out. `observe`: arguments, put before those of the call, with which the program
    says by its exit code whether that call happened: 0 yes, 1 no, else unknown.
    """

    path: Path
    args_pattern: str = r"[A-Za-z0-9_.,:=@%+/][A-Za-z0-9_.,:=@%+/-]*"
    """By default no argument may begin with `-`, so that no value turns into an option."""
    env: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = ()
    working_dir: Path | None = None
    idempotent: bool = False
    observe: tuple[Argument, ...] | None = None

    @field_validator("path", "working_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        if path is not None and (not path.is_absolute() or ".." in path.parts):
            raise ValueError("must be an absolute path without ..")
        return path

    @field_validator("args_pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return pattern


class ScriptConfig(Frozen):
    """Settings section `executors.script`. `output_limit`: bytes that are kept of each stream."""

    programs: dict[ProgramName, Program] = Field(min_length=1)
    output_limit: int = Field(default=65_536, ge=1024, le=16_777_216)


class ScriptExecutor:
    """Runs what the settings list. Safe to use from several threads."""

    name = "script"
    verbs = VERBS

    def __init__(self, config: ScriptConfig, environment: Mapping[str, str]) -> None:
        """`environment` is where the variables that a program may have come from."""
        self._config = config
        self._environment = environment

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> ScriptExecutor:  # noqa: ARG003  (needs no secret, no store)
        """The executor of a settings section. Raises BadInput on a wrong one, or on a program that cannot be run."""
        settings = read_config(ScriptConfig, config, where="executors.script")
        for name, program in settings.programs.items():
            where = f"executors.script.programs.{name}"
            try:
                _real_file(program.path)
            except ExecutorError as error:
                raise BadInput(str(error), where=f"{where}.path") from error
            if program.working_dir is not None and not program.working_dir.is_dir():
                raise BadInput(f"{program.working_dir} is not a folder", where=f"{where}.working_dir")
        return cls(settings, os.environ)

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG004  (one verb)
        """`script:PROGRAM`: two runs of one program are never at the same time."""
        return f"script:{read_arguments(ScriptInputs, arguments).program}"

    def dry_run(self, call: Call) -> str:
        """The argument list that would be run."""
        _, argv = self._argv(call)
        return f"would run {shlex.join(argv)}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """Nothing: a program's target is not known here."""
        self._argv(call)
        return {}

    def act(self, call: Call) -> dict[str, Any]:
        """Run it. Raises ExecutorError where it ends with another code than 0, with the end of its standard error."""
        program, argv = self._argv(call)
        finished = self._run(program, argv, call, call.cancelled)
        if finished.cancelled:
            raise ExecutorError(f"{argv[0]} was ended since the execution was cancelled{_last_words(finished)}")
        if finished.timed_out:
            raise ExecutorError(f"{argv[0]} was ended after {format_duration(call.timeout)}{_last_words(finished)}")
        if finished.exit_code != 0:
            raise ExecutorError(f"{argv[0]} ended with {finished.exit_code}{_last_words(finished)}")
        return ScriptOutputs(
            exit_code=0,
            stdout=finished.stdout.text,
            stderr=finished.stderr.text,
            truncated=finished.stdout.truncated or finished.stderr.truncated,
        ).model_dump()

    def observe(self, call: Call) -> Effect:
        """What the program's `observe` arguments say; without them ABSENT where it is declared idempotent.

        A program that outlived a crash of the service is waited for, up to the call's timeout: its effect may still
        come about, and a second one beside it must not be started.
        """
        try:
            program, argv = self._argv(call)
        except ExecutorError:
            return Effect.UNKNOWN
        if program.observe is None and not program.idempotent:
            return Effect.UNKNOWN
        outlived = running(call.key)
        effect = self._ask(program, argv, call)
        if effect is Effect.HAPPENED or not outlived:
            return effect
        ended = wait_until_ended(call.key, call.timeout.total_seconds())
        return self._ask(program, argv, call) if ended else Effect.UNKNOWN

    def _ask(self, program: Program, argv: list[str], call: Call) -> Effect:
        if program.observe is None:
            # It may have happened; a second run is then the same as none, so the answer may be "run it again".
            return Effect.ABSENT
        try:
            finished = self._run(program, [argv[0], *program.observe, *argv[1:]], call, lambda: False)
        except ExecutorError:
            return Effect.UNKNOWN
        if finished.timed_out:
            return Effect.UNKNOWN
        return {0: Effect.HAPPENED, 1: Effect.ABSENT}.get(finished.exit_code, Effect.UNKNOWN)

    def _argv(self, call: Call) -> tuple[Program, list[str]]:
        if call.verb not in VERBS:
            raise refused(f"there is no script/{call.verb}")
        inputs = read_arguments(ScriptInputs, call.arguments)
        program = self._config.programs.get(inputs.program)
        if program is None:
            raise refused(f"program {inputs.program} is not allowed; add it to executors.script.programs")
        for number, argument in enumerate(inputs.args):
            if not re.fullmatch(program.args_pattern, argument):
                raise refused(f"args[{number}] does not match the args_pattern of {inputs.program}")
        if sum(len(argument.encode()) for argument in inputs.args) > _ARGV_BYTES:
            raise refused(f"the arguments are longer than {_ARGV_BYTES} bytes together")
        return program, [str(_real_file(program.path)), *inputs.args]

    def _run(self, program: Program, argv: list[str], call: Call, cancelled: Callable[[], bool]) -> Finished:
        environment = {name: self._environment[name] for name in program.env if name in self._environment}
        try:
            return run_bounded(
                argv,
                environment={**environment, KEY_VARIABLE: call.key},
                folder=program.working_dir or program.path.parent,
                timeout=call.timeout.total_seconds(),
                output_limit=self._config.output_limit,
                cancelled=cancelled,
            )
        except OSError as error:
            raise refused(f"{argv[0]} cannot be started: {error.strerror}") from error


def _real_file(path: Path) -> Path:
    """The file that will run, looked up anew each time. Raises ExecutorError where it is not what the settings mean."""
    try:
        real = path.resolve(strict=True)
        folder = path.parent.resolve(strict=True)
        mode = real.stat().st_mode
    except (OSError, RuntimeError) as error:
        raise refused(f"{path} cannot be found: {getattr(error, 'strerror', error)}") from error
    if not real.is_relative_to(folder):
        raise refused(f"{path} is a link that leads out of its folder, to {real}; name that file in the settings")
    if not stat.S_ISREG(mode) or not os.access(real, os.X_OK):
        raise refused(f"{real} is not a file that can be executed")
    if mode & stat.S_IWOTH:
        raise refused(f"{real} can be written by everybody; chmod o-w")
    return real


def _last_words(finished: Finished) -> str:
    text = finished.stderr.text.strip()
    return f": …{text[-_LAST_WORDS:]}" if len(text) > _LAST_WORDS else f": {text}" if text else ""
