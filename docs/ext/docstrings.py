"""Read this project's docstrings and signatures as they are meant.

Types stand in signatures, never in docstrings. Napoleon takes what comes before a colon in the
first line of ``Returns:``, or of a constant's docstring, for a type; a colon at the very beginning
tells it that there is none.
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.ext.autodoc import Options

BEFORE_NAPOLEON = 400


def without_types(
    _app: Sphinx, what: str, _name: str, _obj: object, _options: Options, lines: list[str]
) -> None:
    """Mark what follows as a description."""
    if what in {"data", "attribute"} and lines:
        lines[0] = f": {lines[0]}"
    for k, line in enumerate(lines[:-1]):
        if line.strip() in {"Returns:", "Yields:"}:
            following = lines[k + 1]
            text = following.lstrip()
            lines[k + 1] = following[: len(following) - len(text)] + f": {text}"


def without_tuple_fields(
    _app: Sphinx, _what: str, _name: str, obj: object, skipped: bool, _options: Options
) -> bool:
    """Leave out a named tuple's fields, which its docstring lists."""
    return skipped or (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")


def without_factories(
    _app: Sphinx,
    _what: str,
    _name: str,
    _obj: object,
    _options: Options,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Write a default that a dataclass makes anew as ``...``: ``<factory>`` is no Python."""
    if signature is not None and "<factory>" in signature:
        signature = signature.replace("<factory>", "...").replace("~", "")
    return signature, returns


def setup(app: Sphinx) -> dict[str, bool]:
    """Stand between autodoc and Napoleon."""
    app.connect("autodoc-process-docstring", without_types, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-process-signature", without_factories)
    app.connect("autodoc-skip-member", without_tuple_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
