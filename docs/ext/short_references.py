"""Resolve the short names that docstrings use, and leave other packages' names unlinked.

A docstring says ``:class:`InputError``` from whatever module it is in; nothing is fetched from the
network, so ``Tensor`` and the like stay plain text. What is neither still warns.
"""

from __future__ import annotations

from docutils.nodes import Element
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

ELSEWHERE = {"collections", "jaxtyping", "pathlib", "PIL", "torch", "torchopt", "types", "typing"}
ANNOTATIONS = {"Bool", "Float", "Int", "Integer", "Shaped", "Tensor", "UInt8"}


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element
) -> Element | None:
    """A link for a short name that one documented object ends in; text for another package's."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].lstrip("~.")
    objects = env.domains.python_domain.objects
    ends = "." + target.rpartition(".")[2] if target.startswith("metaloss") else "." + target
    found = {
        entry.node_id: entry
        for name, entry in objects.items()
        if name.endswith(ends) and not entry.aliased
    }
    if len(found) == 1:
        ((node_id, entry),) = found.items()
        return make_refnode(
            app.builder, node["refdoc"], entry.docname, node_id, content, title=target
        )
    # Axis names, as in Float[Tensor, "batch classes"], come with their quotes.
    axes = target.startswith("'")
    if axes or target in ANNOTATIONS or target.split(".")[0] in ELSEWHERE:
        return content
    return None


def setup(app: Sphinx) -> dict[str, bool]:
    """Look a name up where Sphinx found nothing."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
