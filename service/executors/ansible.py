"""Runs allow-listed Ansible playbooks on allow-listed hosts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import Field

from models.domain.base import Frozen, format_duration
from models.domain.errors import BadInput
from service.executors.ansible_events import Events, HostStats
from service.executors.ansible_run import Ran, Request, run_playbook
from service.executors.ansible_settings import AnsibleConfig, Host, Playbook, PlaybookName
from service.executors.arguments import read_arguments, refused
from service.executors.outlived import wait_until_ended
from service.executors.scratch import sweep
from service.executors.typed_values import Scalar, VariableName, read_values
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import read_config, require_secret


class RunInputs(Frozen):
    """A playbook by the name that the settings give it. `limit`: hosts of those that it may run on; none means all."""

    playbook: PlaybookName
    limit: tuple[Host, ...] = Field(default=(), max_length=100)
    variables: dict[VariableName, Scalar] = Field(default_factory=dict, max_length=64)


class RunOutputs(Frozen):
    """How many tasks of each host ended how, and the first hundred that changed something, as `HOST: TASK`."""

    hosts: dict[str, HostStats]
    changed: tuple[str, ...]


# Whether a second run does harm depends on the playbook: `Playbook.idempotent` says it, and `observe` heeds it.
VERBS = {
    "run": Verb("run", "Run an allow-listed playbook", RunInputs, RunOutputs, False, observable=True, lingers=False)
}


class AnsibleExecutor:
    """Runs what the settings list. Safe to use from several threads.

    Least privilege: a user on the managed hosts that may do what the playbooks do and no more (a sudoers line for each
    command rather than `become: true` to anything), its key in an agent whose SSH_AUTH_SOCK the settings name; read
    access to the project and the inventory, which nobody else may write. A playbook's secrets reach it alone.
    """

    name = "ansible"
    verbs = VERBS

    def __init__(self, config: AnsibleConfig, secret: Callable[[str], str], environment: Mapping[str, str]) -> None:
        """`environment` is where the variables that a run may have come from."""
        self._config = config
        self._secret = secret
        self._environment = environment

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> AnsibleExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where Ansible is not installed."""
        if find_spec("ansible_runner") is None or find_spec("ansible") is None:
            raise BadInput("Ansible is not installed; pip install 'suture[ansible]'", where="executors.ansible")
        settings = read_config(AnsibleConfig, config, where="executors.ansible")
        for name, playbook in settings.playbooks.items():
            for variable, reference in playbook.secrets.items():
                where = f"executors.ansible.playbooks.{name}.secrets.{variable}"
                require_secret(context.secret, reference, where=where)
        return cls(settings, context.secret, os.environ)

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG004  (one verb)
        """`ansible:PLAYBOOK`, whichever hosts: two runs of one playbook are never at the same time."""
        return f"ansible:{read_arguments(RunInputs, arguments).playbook}"

    def dry_run(self, call: Call) -> str:
        """What check mode says would change, with the differences. Raises ExecutorError where it fails."""
        inputs, playbook = self._inputs(call)
        ran = self._run(call, playbook.file, check=True, purpose="dry-run")
        if (problem := _problem(ran)) is not None:
            raise refused(f"check mode of {inputs.playbook}: {problem}")
        events = ran.events
        words = f"would run {inputs.playbook} on {', '.join(ran.events.hosts or {})}; "
        words += f"{len(events.changed)} tasks would change something"
        words += "".join(f"\n{task}" for task in events.changed)
        blind = f"\nnot known in check mode: {'; '.join(events.blind)}" if events.blind else ""
        return f"{words}{blind}{events.diff}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """Nothing: what a playbook changes is not known here."""
        self._inputs(call)
        return {}

    def act(self, call: Call) -> dict[str, Any]:
        """Run it, within `call.timeout`. Raises ExecutorError where a task failed or a host was not reached.

        The effect is ABSENT where no task changed anything, and a run that reached nobody is worth a retry.
        """
        inputs, playbook = self._inputs(call)
        ran = self._run(call, playbook.file, check=False)
        if (problem := _problem(ran)) is None:
            return RunOutputs(hosts=ran.events.hosts or {}, changed=tuple(ran.events.changed)).model_dump()
        words = problem
        if ran.finished.cancelled:
            words = "cancelled by a person"
        elif ran.finished.timed_out:
            words = f"ended after {format_duration(call.timeout)}"
        nobody = bool(ran.events.unreachable) and not ran.events.failed
        effect = _effect(ran)
        raise ExecutorError(f"{inputs.playbook}: {words}", retriable=nobody and effect is Effect.ABSENT, effect=effect)

    def observe(self, call: Call) -> Effect:
        """What the playbook's `observe` or its check mode says; without them REPEATABLE where it may be run again.

        A run that outlived a crash of the service is waited for, up to the call's timeout; then its folder, in which
        secrets may stand, is removed.
        """
        call = replace(call, cancelled=lambda: False)  # what was done before a person cancelled is asked all the same
        try:
            _, playbook = self._inputs(call)
            if not wait_until_ended(call.key, call.timeout.total_seconds()):
                return Effect.UNKNOWN
            sweep(call.key)
            if playbook.observe is not None:
                return _observed(self._run(call, playbook.observe, check=False, purpose="observe"))
            if playbook.check_observes:
                return _observed_by_check(self._run(call, playbook.file, check=True, purpose="observe"))
        except ExecutorError:
            return Effect.UNKNOWN
        return Effect.REPEATABLE if playbook.idempotent else Effect.UNKNOWN

    def _inputs(self, call: Call) -> tuple[RunInputs, Playbook]:
        if call.verb not in VERBS:
            raise refused(f"there is no ansible/{call.verb}")
        inputs = read_arguments(RunInputs, call.arguments)
        playbook = self._config.playbooks.get(inputs.playbook)
        if playbook is None:
            raise refused(f"playbook {inputs.playbook} is not allowed; add it to executors.ansible.playbooks")
        if strange := [host for host in inputs.limit if host not in playbook.hosts]:
            raise refused(f"{inputs.playbook} may not run on {strange[0]}")
        read_values(playbook.variables, inputs.variables, "variable")
        if problem := self._config.problem(playbook.file):
            raise refused(problem)
        return inputs, playbook

    def _run(self, call: Call, file: Path, *, check: bool, purpose: str = "") -> Ran:
        inputs, playbook = self._inputs(call)
        request = Request(
            playbook=(self._config.project / file).resolve(),
            project=self._config.project,
            inventory=self._config.inventory,
            hosts=inputs.limit or playbook.hosts,
            variables=read_values(playbook.variables, inputs.variables, "variable"),
            secret_values=self._secrets(playbook),
            environment={name: self._environment[name] for name in self._config.env if name in self._environment},
            key=f"{call.key}:{purpose}" if purpose else call.key,
            check=check,
            seconds=call.timeout.total_seconds(),
            artifact_limit=self._config.artifact_limit,
            cancelled=call.cancelled,
            confirm=call.confirm,
        )
        return run_playbook(request)

    def _secrets(self, playbook: Playbook) -> dict[str, str]:
        try:
            return {name: self._secret(reference) for name, reference in playbook.secrets.items()}
        except BadInput as error:
            raise refused(str(error)) from error


def _problem(ran: Ran) -> str | None:
    """Why the run counts as failed; None where it does not."""
    events = ran.events
    if ran.finished.timed_out or ran.finished.cancelled:
        return "it was ended before it was done"
    if events.failed or events.unreachable:
        return "; ".join([*events.failed, *(f"not reached: {host}" for host in events.unreachable)][:3])
    if events.hosts is None or ran.finished.exit_code != 0:
        return f"ansible-playbook did not do its work: {ran.words}"
    return None if events.hosts else "no host of the limit is one of its hosts"


def _effect(ran: Ran) -> Effect:
    """ABSENT where surely nothing was changed: no task was begun, or all ended and none says `changed`."""
    events: Events = ran.events
    if not events.begun:
        return Effect.ABSENT
    return Effect.UNKNOWN if events.touched or events.hosts is None else Effect.ABSENT


def _observed(ran: Ran) -> Effect:
    if _problem(ran) is None:
        return Effect.HAPPENED
    asked = ran.events.failed and not ran.events.unreachable and ran.events.hosts is not None
    return Effect.ABSENT if asked else Effect.UNKNOWN


def _observed_by_check(ran: Ran) -> Effect:
    if _problem(ran) is not None or ran.events.blind:
        return Effect.UNKNOWN
    return Effect.ABSENT if ran.events.touched else Effect.HAPPENED
