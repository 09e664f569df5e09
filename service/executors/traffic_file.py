"""The file that a router reads its servers from: rendered from the settings, and read back.

A mark in it says which pool it sends to, for which call, and a digest of all that: a file that was changed by hand
is found by it. The first file, which the operator writes, has no mark; it is understood where it says exactly what the
settings say of one pool.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from models.domain.base import canonical_json, sha256_hex
from service.executors.arguments import refused
from service.executors.traffic_settings import Router

_LARGEST = 1_048_576
"""Bytes. What is rendered here is far smaller; a wrong path to a large file is not read into memory."""
_MARK = "# suture: "
_TEMPLATES = {
    "nginx": """\
upstream {{ section }} {
{%- for line in lines %}
    {{ line }}
{%- endfor %}
{%- for server in servers %}
    server {{ server }}{{ " " if options }}{{ options }};
{%- endfor %}
}
""",
    "haproxy": """\
backend {{ section }}
{%- for line in lines %}
    {{ line }}
{%- endfor %}
{%- for server in servers %}
    server s{{ loop.index }} {{ server }}{{ " " if options }}{{ options }}
{%- endfor %}
""",
}


@dataclass(frozen=True)
class Generated:
    """What a file says: the pool, the call that wrote it ("": the operator did), and the servers' part as it stands."""

    pool: str
    key: str
    body: str


def rendered(name: str, router: Router, pool: str, key: str) -> Generated:
    """What the settings say of a pool."""
    return Generated(pool, key, _body(name, router, pool))


def text_of(name: str, router: Router, generated: Generated) -> str:
    """The file's text, with its mark."""
    digest = _digest(name, generated)
    if router.kind == "json":
        servers = json.loads(generated.body)
        text = {"pool": generated.pool, "servers": servers, "key": generated.key, "digest": digest}
        return json.dumps(text, indent=2) + "\n"
    mark = json.dumps({"router": name, "pool": generated.pool, "key": generated.key, "digest": digest})
    return f"# Written by Suture. A file that was changed by hand is refused.\n{_MARK}{mark}\n{generated.body}"


def read(name: str, router: Router) -> Generated | None:
    """What the file says; None where there is none. Raises ExecutorError where that is not what was written here."""
    path = router.file
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise refused(f"{path} is not a regular file")
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(f"{path} cannot be read: {error.strerror}") from error
    found = _parsed(name, router, data.decode("utf-8", "replace")) if len(data) <= _LARGEST else None
    if found is None:
        words = "was changed by hand, or is not of this router; see its documentation for how to begin anew"
        raise refused(f"{path} {words}")
    return found


def _parsed(name: str, router: Router, text: str) -> Generated | None:
    marked = _read_json(text) if router.kind == "json" else _read_marked(text)
    if marked is None:
        return _unmarked(name, router, text)
    generated, digest = marked
    return generated if digest == _digest(name, generated) else None


def _read_json(text: str) -> tuple[Generated, str] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None
    if not isinstance(values, dict) or set(values) != {"pool", "servers", "key", "digest"}:
        return None
    generated = Generated(str(values["pool"]), str(values["key"]), canonical_json(values["servers"]))
    return generated, str(values["digest"])


def _read_marked(text: str) -> tuple[Generated, str] | None:
    head, mark, body = [*text.split("\n", 2), "", ""][:3]
    if not head.startswith("#") or not mark.startswith(_MARK):
        return None
    try:
        values = json.loads(mark.removeprefix(_MARK))
        return Generated(str(values["pool"]), str(values["key"]), body), str(values["digest"])
    except (ValueError, KeyError, TypeError):
        return None


def _unmarked(name: str, router: Router, text: str) -> Generated | None:
    for pool in router.pools:
        body = _body(name, router, pool)
        if _says(router, pool, text) if router.kind == "json" else _words(text) == _words(body):
            return Generated(pool, "", body)
    return None


def _says(router: Router, pool: str, text: str) -> bool:
    try:
        values = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(values, dict)
        and set(values) <= {"pool", "servers", "key"}
        and (values.get("pool"), values.get("servers")) == (pool, list(router.pools[pool]))
    )


def _words(text: str) -> list[str]:
    """A configuration without its comments and its spacing."""
    return re.findall(r"[{};]|[^\s{};]+", re.sub(r"(?m)^\s*#.*$", "", text))


def _body(name: str, router: Router, pool: str) -> str:
    if router.kind == "json":
        return canonical_json(list(router.pools[pool]))
    from jinja2 import Environment, StrictUndefined

    # No HTML is made here; the settings' patterns keep a value within its line.
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(  # noqa: S701
        _TEMPLATES[router.kind]
    )
    return template.render(
        section=router.section or name,
        lines=router.lines,
        servers=router.pools[pool],
        options=router.server_options,
    )


def _digest(name: str, generated: Generated) -> str:
    return sha256_hex(canonical_json([name, generated.pool, generated.key, generated.body]))
