"""Secrets are named, never written: a reference goes into the settings, its value is read when it is used."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from models.domain.errors import BadInput

log = logging.getLogger(__name__)

_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_FILE = re.compile(r"file:(/[^\x00]*)")
_LARGEST = 64 * 1024
"""Bytes. No key or certificate is larger; a wrong path to a large file is not read into memory."""


def resolve_secret(reference: str, environment: Mapping[str, str] | None = None) -> str:
    """The value behind `env:NAME` or `file:/absolute/path`; one trailing line end is not part of a file's value.

    `environment` stands in for the process environment. Raises BadInput where it cannot be read; the message
    never holds a value, nor a reference of no known form, which may be the secret itself.
    """
    if match := _VARIABLE.fullmatch(reference):
        return _from_environment(match[1], os.environ if environment is None else environment)
    if match := _FILE.fullmatch(reference):
        return _from_file(Path(match[1]))
    raise BadInput("a secret is given by reference, env:NAME or file:/absolute/path, never by its value")


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if not value:
        raise BadInput(f"the environment variable {name} is {'empty' if value == '' else 'not set'}; it holds a secret")
    return value


def _from_file(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(f"the secret file {path} is not a regular file")
        if status.st_size > _LARGEST:
            raise BadInput(f"the secret file {path} is larger than {_LARGEST} bytes")
        value = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:  # its words quote the bytes: they stay out of the message and of the cause
        raise BadInput(f"the secret file {path} is not UTF-8 text") from None
    except OSError as error:
        raise BadInput(f"the secret file {path} cannot be read: {error.strerror}") from error
    if status.st_mode & 0o077:
        log.warning("the secret file %s can be read by others (mode %o); chmod 600", path, stat.S_IMODE(status.st_mode))
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise BadInput(f"the secret file {path} is empty")
    return value
