"""Tries a new file before it replaces the old one: the router's own check reads it in the old one's place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from glob import glob
from pathlib import Path
from tempfile import NamedTemporaryFile

from service.executors.arguments import refused
from service.executors.reloading import run_program
from service.executors.replacing import SUFFIX, remove_stale
from service.executors.traffic_settings import Router
from service.ports import ExecutorError

_INCLUDE = re.compile(r"(?m)^(\s*)include\s+([\"']?)([^;\"']+)\2\s*;")


def try_out(router: Router, candidate: Path, *, key: str, seconds: Callable[[], float]) -> None:
    """Raises ExecutorError (nothing was changed) where the router's check refuses the file, or cannot be run."""
    try:
        with ExitStack() as until_checked:
            argv = _check(router, candidate, until_checked)
            if argv:
                run_program(argv, key=key, seconds=seconds())
    except OSError as error:
        raise refused(f"the new configuration cannot be checked: {error.strerror}") from error
    except ExecutorError as error:
        raise refused(f"the new configuration is not valid: {error}") from error


def _check(router: Router, candidate: Path, until_checked: ExitStack) -> list[str]:
    """The check's arguments; none where there is no check. What it needs for a while is closed with `until_checked`."""
    if router.check is not None:
        return [argument.replace("{file}", str(candidate)) for argument in router.check]
    if router.config is None:
        return []
    program = str(router.checker())
    if router.kind == "haproxy":
        return [program, "-c", "-f", str(router.config), "-f", str(candidate)]
    # In the folder of the original: nginx reads relative paths from there.
    remove_stale(router.config)
    prefix = f".{router.config.name}."
    main = NamedTemporaryFile("w", dir=router.config.parent, prefix=prefix, suffix=SUFFIX)  # noqa: SIM115
    until_checked.enter_context(main)
    main.write(_including(router, router.config, candidate))
    main.flush()
    return [program, "-t", "-q", "-c", main.name]


def _including(router: Router, config: Path, candidate: Path) -> str:
    """The nginx configuration with the candidate in place of the generated file."""
    found = False

    def instead(match: re.Match[str]) -> str:
        nonlocal found
        pattern = os.path.normpath(config.parent / match[3].strip())
        if not router.file.match(pattern):
            return match[0]
        found = True
        others = sorted(set(glob(pattern)) - {str(router.file)})  # noqa: PTH207  (as nginx: no hidden files)
        return "".join(f'{match[1]}include "{file}";' for file in [candidate, *others])

    text = _INCLUDE.sub(instead, config.read_text(encoding="utf-8"))
    if not found:
        raise refused(f"{config} does not include {router.file}; include it there, or set validate")
    return text
