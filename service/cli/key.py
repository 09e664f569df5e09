"""`suture key`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import AsJson, Data

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key: approvals and the audit log name its holder by it.")],
    role: Annotated[str, typer.Option(help="viewer, sender, approver or admin.")] = "viewer",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Create a key and print it this once."""
    from models.domain.errors import BadInput
    from service.cli.output import note, print_json
    from service.cli.parsing import one_of
    from service.cli.state import actor, open_state
    from service.guard.names import deception
    from service.store.keys import Role

    if not 0 < len(name) <= 100 or not name.isprintable():
        raise BadInput("a name has 1 to 100 printable characters", where="NAME")
    if why := deception(name):
        raise BadInput(why, where="NAME")
    chosen = one_of(Role, role, "--role")
    with open_state(data, create=True) as state:
        key, text = state.keys.create(name, chosen, actor())
    if as_json:
        print_json({"key": key, "text": text})
        return
    typer.echo(text)
    note(f"key {key.id} ({key.role}); it is not stored and cannot be shown again")


@app.command("list")
def list_keys(as_json: AsJson = False, data: Data = None) -> None:
    """List keys, without their texts."""
    from service.cli.output import print_json, print_table
    from service.cli.state import open_state

    with open_state(data) as state:
        found = state.keys.all()
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "role", "created", "revoked"),
        [
            (k.id, k.name, k.role, f"{k.created_at:%F %T}", f"{k.revoked_at:%F %T}" if k.revoked_at else "")
            for k in found
        ],
    )


@app.command()
def revoke(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="As `suture key list` shows it.")], data: Data = None
) -> None:
    """Make a key useless, at once and everywhere."""
    from service.cli.state import actor, open_state

    with open_state(data) as state:
        state.keys.revoke(identifier, actor())
    typer.echo(f"revoked {identifier}")
