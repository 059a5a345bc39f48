"""A directive that writes a loss's hyperparameters as a table, from the loss itself.

Usage, in Markdown::

    ```{hyperparameters} GCE
    ```
"""

from __future__ import annotations

from collections.abc import Sequence

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from metaloss import losses

HEADER = ("name", "range", "default", "oracle: right label", "oracle: wrong label")


class HyperparameterTable(SphinxDirective):
    """Name, range, default and the oracle's values of each hyperparameter of a loss."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table."""
        family = getattr(losses, self.arguments[0])()
        body = [
            [nodes.literal(text=h.name), *map(nodes.Text, _cells(h))]
            for h in family.hyperparameters
        ]
        return [_table([nodes.Text(title) for title in HEADER], body)]


def _cells(h: losses.Hyperparameter) -> list[str]:
    clean = h.default if h.clean is None else h.clean
    noisy = h.default if h.noisy is None else h.noisy
    return [f"[{h.low:g}, {h.high:g}]", *(f"{value:g}" for value in (h.default, clean, noisy))]


def _table(header: Sequence[nodes.Node], body: Sequence[Sequence[nodes.Node]]) -> nodes.table:
    group = nodes.tgroup("", cols=len(header))
    group += [nodes.colspec("", colwidth=1) for _ in header]
    group += nodes.thead("", _row(header))
    group += nodes.tbody("", *(_row(cells) for cells in body))
    return nodes.table("", group)


def _row(cells: Sequence[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("hyperparameters", HyperparameterTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
