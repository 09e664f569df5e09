"""`suture model`: what the language model was used for."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import AsJson, Data

app = typer.Typer(help="The language model.", no_args_is_help=True)


@app.command()
def usage(
    days: Annotated[int, typer.Option(min=1, max=90, help="UTC days, today included.")] = 30,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Questions, tokens and cost by day, over all replicas."""
    from service.cli.output import note, print_json, print_table
    from service.cli.state import open_ledger, open_state

    with open_state(data) as state:
        found = open_ledger(state).usage(days)
        budget = state.settings.model_budget
    if as_json:
        print_json({"model": state.settings.model, "budget": budget, "days": found})
        return
    print_table(
        ("day", "model", "questions", "failed", "cached", "tokens in", "tokens out", "cost"),
        [
            (one.day, one.model, one.calls, one.failed, one.cached, one.prompt_tokens, one.completion_tokens,
             "not known" if one.cost is None else f"${one.cost:.4f}")
            for one in found
        ],
    )  # fmt: skip
    dollars = f", ${budget.cost_per_day:g}" if budget.cost_per_day else ""
    note(f"budget of a day: {budget.tokens_per_day} tokens{dollars}")
