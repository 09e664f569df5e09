"""Plans with Terraform or OpenTofu, and applies saved plans, nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from models.domain.base import Clock
from service.executors.arguments import read_arguments, refused
from service.executors.outlived import wait_until_ended
from service.executors.terraform_changes import PlanDocument, problems
from service.executors.terraform_command import StateMark, Terraform
from service.executors.terraform_plans import Origin, Plans, SavedPlan, file_errors, module_version
from service.executors.terraform_settings import Module, TerraformConfig
from service.executors.terraform_verbs import VERBS, ApplyInputs, ApplyOutputs, ModuleInputs, PlanInputs, PlanOutputs
from service.ports import Call, Context, Effect, ExecutorError
from service.validation import read_config, require_secret

_SHOWN = 100
"""Resources that are listed in outputs and words: a plan of more is read with `terraform show`."""


class TerraformExecutor:
    """Makes plans, and applies one that was saved and is named by its SHA-256. Safe to use from several threads.

    Least privilege. The service's user reads the modules' folders and owns `folder` (mode 700); for a local state it
    also writes to the module's folder. Terraform gets no variable of the service's environment but those in `env`, and
    the credentials in `secrets`; these need to read what the module manages and its state, to lock that state, and to
    change what `allow` lists, no more. `terraform init` is not run here: who deploys the module runs it.

    Tested with Terraform 1.11.4, its built-in provider and local state. No remote state, no cloud provider and no
    OpenTofu were tried.
    """

    name = "terraform"
    verbs = VERBS

    def __init__(
        self,
        config: TerraformConfig,
        secret: Callable[[str], str],
        clock: Clock,
        environment: Mapping[str, str],
    ) -> None:
        """`environment` is where the variables in a module's `env` come from."""
        self._config = config
        self._secret = secret
        self._clock = clock
        self._environment = environment
        self._plans = Plans(config.folder, config.plan_lifetime, clock)

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> TerraformExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where a secret cannot be resolved."""
        settings = read_config(TerraformConfig, config, where="executors.terraform")
        for name, module in settings.modules.items():
            for variable, reference in module.secrets.items():
                where = f"executors.terraform.modules.{name}.secrets.{variable}"
                require_secret(context.secret, reference, where=where)
        return cls(settings, context.secret, context.clock, os.environ)

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:
        """`terraform:MODULE/WORKSPACE`: what has one state."""
        inputs = _inputs(verb, arguments)
        return f"terraform:{inputs.module}/{inputs.workspace}"

    def dry_run(self, call: Call) -> str:
        """What would be planned; of a saved plan, what it would change, after every check that `act` makes."""
        inputs = _inputs(call.verb, call.arguments)
        terraform = self._terraform(call, inputs)
        where = f"module {inputs.module}, workspace {inputs.workspace}"
        if isinstance(inputs, PlanInputs):
            _check_variables(terraform.module, inputs)
            values = ", ".join(f"{name}={value}" for name, value in inputs.variables.items())
            return f"would plan {where}{f', with {values}' if values else ''}"
        _, document = self._appliable(terraform, inputs)
        changes = [f"{' and '.join(change.actions)} {change.address}" for change in document.changes]
        more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        return f"would apply to {where}: {', '.join(changes[:_SHOWN]) or 'no change'}{more}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """`lineage` and `serial` of the state; nothing for a plan."""
        inputs = _inputs(call.verb, call.arguments)
        terraform = self._terraform(call, inputs)
        return {} if isinstance(inputs, PlanInputs) else terraform.state().model_dump()

    def act(self, call: Call) -> dict[str, Any]:
        """Make a plan and save it, or apply a saved one. Raises ExecutorError."""
        inputs = _inputs(call.verb, call.arguments)
        terraform = self._terraform(call, inputs)
        if isinstance(inputs, PlanInputs):
            return self._plan(terraform, inputs).model_dump()
        plan, document = self._appliable(terraform, inputs)
        if call.cancelled():
            raise refused("cancelled before the plan was applied")
        with file_errors():
            plan.mark_started(call.key)
        terraform.apply(plan.file, errors=plan.errors)
        changed = len(document.changes)
        return ApplyOutputs(plan=inputs.plan, changed=changed, serial=_serial_after(terraform)).model_dump()

    def observe(self, call: Call) -> Effect:
        """Whether a saved plan was applied, by what was begun, where the state stands, and what a fresh plan says.

        ABSENT where this call never began; also where the state has not moved and a fresh plan would change the same to
        the same values, none of it by creating: a resource that was created, but not yet in the state, cannot be seen.
        HAPPENED where the state moved on and a fresh plan has nothing left to do. Else UNKNOWN, also while Terraform
        still runs for the call, or a lock that it left is held.
        """
        call = replace(call, cancelled=lambda: False)  # it is asked after a cancelled act, too
        try:
            inputs = _inputs(call.verb, call.arguments)
            if isinstance(inputs, PlanInputs):
                return Effect.UNKNOWN
            plan = self._plans.find(inputs.plan)
            if not plan.was_started(call.key):
                return Effect.ABSENT
            if not wait_until_ended(call.key, call.timeout.total_seconds()):
                return Effect.UNKNOWN
            return self._compare(self._terraform(call, inputs), inputs, plan)
        except ExecutorError:
            return Effect.UNKNOWN

    @file_errors()
    def _plan(self, terraform: Terraform, inputs: PlanInputs) -> PlanOutputs:
        _check_variables(terraform.module, inputs)
        self._plans.sweep()
        version = module_version(terraform.module.path)
        with self._plans.workbench(inputs.variables) as bench:
            terraform.plan(bench, variables=bench / "variables.tfvars.json")
            document = terraform.show(bench / "plan")
            if module_version(terraform.module.path) != version:
                raise refused(f"module {inputs.module} was changed while it was planned; plan again")
            origin = Origin(module=inputs.module, workspace=inputs.workspace, version=version, made_at=self._clock())
            digest = self._plans.keep(bench, origin)
        changes = document.changes
        beyond = problems(document, terraform.module)
        return PlanOutputs(plan=digest, changed=len(changes), changes=changes[:_SHOWN], problems=beyond)

    @file_errors()
    def _appliable(self, terraform: Terraform, inputs: ApplyInputs) -> tuple[SavedPlan, PlanDocument]:
        plan = self._plans.find(inputs.plan)
        _check_origin(plan.origin, inputs, terraform.module)
        self._plans.check_age(plan)
        document = terraform.show(plan.file)
        if beyond := problems(document, terraform.module):
            raise refused(f"the plan goes beyond executors.terraform.modules.{inputs.module}: {'; '.join(beyond)}")
        return plan, document

    @file_errors()
    def _compare(self, terraform: Terraform, inputs: ApplyInputs, plan: SavedPlan) -> Effect:
        _check_origin(plan.origin, inputs, terraform.module)
        before, now = StateMark(**terraform.call.before), terraform.state()
        if before.lineage not in ("", now.lineage) or now.serial < before.serial:
            return Effect.UNKNOWN
        with self._plans.workbench({}) as bench:
            left = terraform.plan(bench, variables=plan.variables)
            if now != before:
                return Effect.UNKNOWN if left else Effect.HAPPENED
            saved = terraform.show(plan.file)
            if any("create" in change.actions for change in saved.changes):
                return Effect.UNKNOWN
            return Effect.ABSENT if saved.same_as(terraform.show(bench / "plan")) else Effect.UNKNOWN

    def _terraform(self, call: Call, inputs: ModuleInputs) -> Terraform:
        module = self._config.modules.get(inputs.module)
        if module is None:
            raise refused(f"module {inputs.module} is not allowed; add it to executors.terraform.modules")
        if inputs.workspace not in module.workspaces:
            where = f"executors.terraform.modules.{inputs.module}.workspaces"
            raise refused(f"workspace {inputs.workspace} is not allowed; add it to {where}")
        deadline = time.monotonic() + call.timeout.total_seconds()
        return Terraform(self._config, module, inputs.workspace, call, self._secret, self._environment, deadline)


def _inputs(verb: str, arguments: Mapping[str, Any]) -> PlanInputs | ApplyInputs:
    if verb == "plan":
        return read_arguments(PlanInputs, arguments)
    if verb == "apply":
        return read_arguments(ApplyInputs, arguments)
    raise refused(f"there is no terraform/{verb}")


def _check_variables(module: Module, inputs: PlanInputs) -> None:
    for name, value in inputs.variables.items():
        variable = module.variables.get(name)
        if variable is None:
            where = f"executors.terraform.modules.{inputs.module}.variables"
            raise refused(f"variable {name} may not be set; add it to {where}")
        if problem := variable.problem(value):
            raise refused(f"variables.{name} {problem}")


def _check_origin(origin: Origin, inputs: ApplyInputs, module: Module) -> None:
    # Terraform itself takes a saved plan into whichever workspace is selected.
    if (origin.module, origin.workspace) != (inputs.module, inputs.workspace):
        raise refused(f"the plan was made for module {origin.module}, workspace {origin.workspace}")
    if module_version(module.path) != origin.version:
        raise refused(f"module {inputs.module} was changed since the plan was made; plan again")


def _serial_after(terraform: Terraform) -> int:
    try:
        return terraform.state().serial
    except ExecutorError as error:
        # The apply is done all the same.
        raise ExecutorError(f"applied, but {error}", effect=Effect.HAPPENED) from error
