"""Pieces of HTML. Whatever comes from a user passes through :func:`escaped`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def escaped(text: object) -> str:
    """Return text in which the characters that HTML reads as markup are escaped.

    Example:
        >>> from metaloss.report.html import escaped
        >>> escaped('A<B & "C"')
        'A&lt;B &amp; &quot;C&quot;'
    """
    return html.escape(str(text))


def section(name: str, title: str, body: str) -> str:
    """Return a section of the page; nothing if its body is empty.

    Args:
        name: its anchor.
        title: its heading, as text.
        body: what is below the heading, as HTML.
    """
    if not body:
        return ""
    return f'<section id="{name}">\n<h2>{escaped(title)}</h2>\n{body}\n</section>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table in a box of its own that scrolls where the table is wider than the page.

    Args:
        head: the headings of the columns, as text.
        rows: the cells, as HTML. The first of a row is its heading.
        caption: the table's caption, as text.
    """
    headings = "".join(f'<th scope="col">{escaped(each)}</th>' for each in head)
    lines = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    # Not a caption of the table: that is as wide as the table, and scrolls with it.
    said = f'<p class="caption">{escaped(caption)}</p>\n' if caption else ""
    name = escaped(caption or head[0])
    # A box that scrolls can be focused, so that the arrow keys scroll it.
    return (
        f'{said}<div class="wide" role="region" tabindex="0" aria-label="{name}"><table>\n'
        f"<thead><tr>{headings}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>"
    )


def picture(svg: str, caption: str) -> str:
    """Return a picture with its caption, which is text and may be empty."""
    said = f"<figcaption>{escaped(caption)}</figcaption>" if caption else ""
    return f"<figure>{svg}{said}</figure>"


def gallery(pictures: Iterable[str]) -> str:
    """Return pictures side by side, as many as there is room for; nothing if there are none."""
    found = "\n".join(pictures)
    return f'<div class="gallery">\n{found}\n</div>' if found else ""


def folded(title: str, body: str, *, opened: bool = False) -> str:
    """Return what is shown once its title is chosen.

    Args:
        title: the title, as text.
        body: what is folded, as HTML.
        opened: whether it is shown from the start.
    """
    state = " open" if opened else ""
    return f"<details{state}><summary>{escaped(title)}</summary>\n{body}\n</details>"


def paragraph(text: str) -> str:
    """Return text as a paragraph."""
    return f"<p>{escaped(text)}</p>"


def bullets(lines: Iterable[str]) -> str:
    """Return lines of text as a list."""
    return "<ul>\n" + "\n".join(f"<li>{escaped(line)}</li>" for line in lines) + "\n</ul>"
