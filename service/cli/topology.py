"""`suture topology`."""

from __future__ import annotations

import typer

from service.cli.options import AsJson, Data

app = typer.Typer(help="Which service depends on which, and how that is known.", no_args_is_help=True)


@app.command()
def show(as_json: AsJson = False, data: Data = None) -> None:
    """Show every dependency with where it comes from: the file, traces or metrics."""
    from models.domain.base import utc_now
    from service.cli.output import print_json, print_table, shown
    from service.cli.parsing import shown_instant
    from service.cli.state import open_state
    from service.discovery.book import TopologyBook
    from service.store.topology import Edges
    from service.topology import load_topology

    with open_state(data) as state:
        discovery = state.settings.discovery
        edges = Edges(state.database, discovery.max_edges)
        book = TopologyBook(load_topology(state.settings.topology), edges, discovery, utc_now)
        found, services = book.edges(), book.current().services
    if as_json:
        print_json({"services": services, "edges": found})
        return
    print_table(
        ("caller", "callee", "from", "used", "calls", "last seen"),
        [
            (
                shown(one.caller), shown(one.callee), ", ".join(one.sources),
                "yes" if one.used else f"no: {shown(one.reason)}",
                "-" if one.calls is None else f"{one.calls:.0f}",
                "-" if one.last_at is None else shown_instant(one.last_at),
            )
            for one in found
        ],
    )  # fmt: skip
