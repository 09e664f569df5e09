"""API keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.domain.base import Frozen
from models.domain.errors import BadInput
from service.api import examples
from service.api.dependencies import PLAIN, Identifier, PartsOf, answers, resource, takes
from service.guard.names import deception
from service.security.auth import ADMIN, Admin, actor_of
from service.store.keys import Key, Role

router = resource("control")


class NewKey(Frozen):
    """What a key is for, and what it may do."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=PLAIN, examples=["alertmanager"])]
    """Approvals and the audit log name the holder by it: give each person a name of their own."""
    role: Role


class CreatedKey(Frozen):
    """A new key with its text, which is shown this once."""

    key: Key
    text: str


class KeyList(Frozen):
    """Every key, oldest first, revoked ones included."""

    items: tuple[Key, ...]


@router.get("/v1/keys", summary="List API keys", responses=answers({"items": [examples.KEY]}), dependencies=[ADMIN])
def list_keys(parts: PartsOf) -> KeyList:
    """Without their texts, which are not stored."""
    return KeyList(items=tuple(parts.keys.all()))


@router.post(
    "/v1/keys",
    summary="Create an API key",
    status_code=201,
    responses=answers({"key": examples.KEY, "text": "sut_9f86d081884c7d65_…"}, status=201, description="Created."),
    openapi_extra=takes({"name": "alertmanager", "role": "sender"}),
)
def create_key(parts: PartsOf, key: Admin, body: NewKey) -> CreatedKey:
    """The answer shows the key's text this once; only a hash of it is stored.

    422 where the name could be taken for another one: it holds letters that cannot be seen, or mixes alphabets.
    """
    if why := deception(body.name):
        raise BadInput(why, where="$.name")
    created, text = parts.keys.create(body.name, body.role, actor_of(key))
    return CreatedKey(key=created, text=text)


@router.delete(
    "/v1/keys/{id}",
    summary="Revoke an API key",
    status_code=204,
    responses={**{k: v for k, v in answers(None, 404).items() if k == 404}, 204: {"description": "Revoked."}},
)
def revoke_key(parts: PartsOf, key: Admin, id: Identifier) -> None:
    """The key stops working at once, on every replica."""
    parts.keys.revoke(id, actor_of(key))
