"""Compiled loops over series: numba, with the machine code kept for the next start."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """`function` in machine code, compiled at its first call for each kind of arguments.

    The code is kept beside the module, or in the user's cache folder where that is read-only; where no folder can be
    written, each process compiles anew (2 s for the detector). numba looks at the module's own file for changes, so a
    compiled function calls compiled ones of its own module only. The interpreter's lock is released while it runs; a
    division by zero is an infinity, as in numpy.
    """
    from numba import njit

    machine_code: Callable[..., Any] = partial(njit, nogil=True, error_model="numpy")
    try:
        kept: Function = machine_code(cache=True)(function)
    except RuntimeError:  # no folder for the cache
        fresh: Function = machine_code()(function)
        return fresh
    return kept
