"""The command that lists learned adjusters."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console


def adjusters(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one object for each adjuster.")
    ] = False,
    cost: Annotated[
        bool, typer.Option("--cost", help="Also measure what each costs in a training step.")
    ] = False,
) -> None:
    """List the learned adjusters of the package: loss, features, data and held-out figures."""
    import json

    from metaloss.diagnostics.adjusters import listing
    from metaloss.pretrained import from_pretrained, list_pretrained
    from metaloss.pretrained.summary import summary

    found = [summary(each) for each in list_pretrained()]
    costs: dict[str, float] = {}
    if cost:
        from metaloss.diagnostics.criterion_cost import criterion_costs

        costs = criterion_costs({each.name: from_pretrained(each.name) for each in found})
    if as_json:
        rows = [each._asdict() | ({"cost": costs[each.name]} if cost else {}) for each in found]
        typer.echo(json.dumps(rows, indent=1))
    else:
        Console().print(listing(found, costs), highlight=False)
