"""Runs allow-listed programs with an argument list, never through a shell."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from models.domain.base import Frozen, format_duration
from models.domain.errors import BadInput
from service.executors.arguments import read_arguments, refused
from service.executors.bounded import Finished, NotStarted, run_bounded
from service.executors.hiding import hidden
from service.executors.outlived import KEY_VARIABLE, running, wait_until_ended
from service.executors.scratch import scratch, sweep
from service.executors.script_settings import Argument, Program, ProgramName, ScriptConfig, real_file
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import read_config, require_secret

_ARGV_BYTES = 32_768
"""Far below what the kernel takes (ARG_MAX, 128 KiB and more), far above what an action needs."""
_LAST_WORDS = 2000
"""Characters of standard error in an error's words; the rest is not of help in a ticket."""


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
    "run": Verb(
        "run", "Run an allow-listed program", ScriptInputs, ScriptOutputs, False, observable=True, lingers=False
    )
}


class ScriptExecutor:
    """Runs what the settings list, each run in an environment and in folders of its own.

    Safe to use from several threads.

    Least privilege: a program runs as the service's user, so that user should have no right but what the listed
    programs need, and none to change them: they belong to root or to it, in folders that nobody else can write. What
    only one program needs (a token, a key) goes into its `secrets`, not into the service's environment that `env`
    hands on. What needs other rights belongs behind a program of its own with a narrow sudo rule or a small service;
    nothing here changes the user.
    """

    name = "script"
    verbs = VERBS

    def __init__(self, config: ScriptConfig, environment: Mapping[str, str], secret: Callable[[str], str]) -> None:
        """`environment` is where the variables that a program may have come from; `secret` resolves references."""
        self._config = config
        self._environment = environment
        self._secret = secret

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> ScriptExecutor:
        """The executor of a settings section.

        Raises BadInput on a wrong one, on a program that cannot be run, and where a secret cannot be resolved.
        """
        settings = read_config(ScriptConfig, config, where="executors.script")
        for name, program in settings.programs.items():
            where = f"executors.script.programs.{name}"
            try:
                real_file(program.path)
            except ExecutorError as error:
                raise BadInput(str(error), where=f"{where}.path") from error
            if program.working_dir is not None and not program.working_dir.is_dir():
                raise BadInput(f"{program.working_dir} is not a folder", where=f"{where}.working_dir")
            for variable, reference in program.secrets.items():
                require_secret(context.secret, reference, where=f"{where}.secrets.{variable}")
        return cls(settings, os.environ, context.secret)

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
        finished = self._run(program, argv, call)
        if finished.cancelled:
            raise ExecutorError(f"{argv[0]} was ended since the execution was cancelled{_last_words(finished)}")
        if finished.timed_out:
            raise ExecutorError(f"{argv[0]} was ended after {format_duration(call.timeout)}{_last_words(finished)}")
        if finished.exit_code != 0:
            raise ExecutorError(f"{argv[0]} {_ending(finished.exit_code)}{_last_words(finished)}")
        return ScriptOutputs(
            exit_code=0, stdout=finished.stdout, stderr=finished.stderr, truncated=finished.truncated
        ).model_dump()

    def observe(self, call: Call) -> Effect:
        """What the program's `observe` arguments say; without them REPEATABLE where it is declared
        idempotent.

        A program that outlived a crash of the service is waited for, up to the call's timeout: its effect may still
        come about, and a second one beside it must not be started.
        """
        try:
            program, argv = self._argv(call)
        except ExecutorError:
            return Effect.UNKNOWN
        outlived = running(call.key)
        if not outlived:
            sweep(call.key)
        if program.observe is None and not program.idempotent:
            return Effect.UNKNOWN
        effect = self._ask(program, argv, call)
        if effect is Effect.HAPPENED or not outlived:
            return effect
        if not wait_until_ended(call.key, call.timeout.total_seconds()):
            return Effect.UNKNOWN
        sweep(call.key)
        return self._ask(program, argv, call)

    def _ask(self, program: Program, argv: list[str], call: Call) -> Effect:
        if program.observe is None:
            return Effect.REPEATABLE
        try:
            unstoppable = replace(call, cancelled=lambda: False)  # it is asked after a cancelled act, too
            finished = self._run(program, [argv[0], *program.observe, *argv[1:]], unstoppable)
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
        return program, [str(real_file(program.path)), *inputs.args]

    def _run(self, program: Program, argv: list[str], call: Call) -> _Run:
        secrets = self._secrets(program)
        environment = {name: self._environment[name] for name in program.env if name in self._environment}
        try:
            with scratch(call.key) as folders:
                finished = run_bounded(
                    argv,
                    environment={**folders.environment, **environment, **secrets, KEY_VARIABLE: call.key},
                    folder=program.working_dir or folders.work,
                    timeout=call.timeout.total_seconds(),
                    output_limit=self._config.output_limit,
                    cancelled=call.cancelled,
                    limits=program.limits,
                    confirm=call.confirm,
                )
        except NotStarted as error:
            raise refused(f"{argv[0]} cannot be started: {error.strerror}") from error
        return _Run.of(finished, secrets.values())

    def _secrets(self, program: Program) -> dict[str, str]:
        try:
            return {name: self._secret(reference) for name, reference in program.secrets.items()}
        except BadInput as error:
            raise refused(str(error)) from error


@dataclass(frozen=True)
class _Run:
    """How a run ended, its texts without the secrets that it was given: some programs print their environment."""

    exit_code: int
    stdout: str
    stderr: str
    truncated: bool
    timed_out: bool
    cancelled: bool

    @classmethod
    def of(cls, finished: Finished, secrets: Iterable[str]) -> _Run:
        known = tuple(secrets)
        texts = [
            hidden(stream.text, known, cut_at_start=stream.truncated) for stream in (finished.stdout, finished.stderr)
        ]
        truncated = finished.stdout.truncated or finished.stderr.truncated
        return cls(finished.exit_code, texts[0], texts[1], truncated, finished.timed_out, finished.cancelled)


def _ending(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with {exit_code}"
    if exit_code == -signal.SIGXCPU:
        return "was ended since it used up its cpu_seconds"
    return f"was ended by signal {-exit_code}"


def _last_words(run: _Run) -> str:
    text = run.stderr.strip()
    return f": …{text[-_LAST_WORDS:]}" if len(text) > _LAST_WORDS else f": {text}" if text else ""
