"""Write formulas as MathML, which browsers draw themselves: a page fetches nothing."""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)


def _draw(writer: HTML5Translator, node: nodes.math | nodes.math_block, block: bool) -> None:
    try:
        writer.body.append(tex2mathml(node.astext(), as_block=block))
    except MathError as error:
        logger.warning("formula: %s: %s", error, node.astext(), location=node)
        writer.body.append(f"<code>{writer.encode(node.astext())}</code>")


def inline(writer: HTML5Translator, node: nodes.math) -> None:
    """A formula within a line."""
    _draw(writer, node, block=False)
    raise nodes.SkipNode


def block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """A formula of its own."""
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    _draw(writer, node, block=True)
    writer.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
