"""Fail the build where a public name has no entry in the reference, or no docstring.

A name is public if its module's ``__all__`` lists it. One that several modules export needs one
entry, under any of its names.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable
from types import ModuleType

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

logger = logging.getLogger(__name__)


def missing(modules: Iterable[ModuleType], documented: Iterable[str]) -> list[str]:
    """A line for each public name without an entry or without a docstring.

    Args:
        modules: those whose ``__all__`` is to be covered.
        documented: the full names that have an entry.
    """
    entries = set(documented)
    described = {id(found) for name in entries if (found := _resolve(name)) is not None}
    lines = []
    for module in modules:
        for name in module.__all__:
            full = f"{module.__name__}.{name}"
            value = getattr(module, name)
            if full not in entries and id(value) not in described:
                lines.append(f"{full}: expected an entry in docs/api, found none")
            if not _has_docstring(name, value, module.__name__.split(".")[0]):
                lines.append(f"{full}: expected a docstring, found none")
    return lines


def _resolve(full: str) -> object:
    """The object that a dotted name stands for; ``None`` if it cannot be had."""
    if full in sys.modules:
        return sys.modules[full]
    parent, _, name = full.rpartition(".")
    return getattr(sys.modules.get(parent), name, None)


def _has_docstring(name: str, value: object, package: str) -> bool:
    if inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value):
        written = (value.__doc__ or "").strip()
        # A dataclass or a named tuple without a docstring is given its signature for one.
        return bool(written) and not written.startswith(f"{value.__name__.split('.')[-1]}(")
    # A constant's docstring is a string after it, in the module that defines it.
    definers = [
        module
        for module_name, module in sys.modules.items()
        if module_name.split(".")[0] == package and getattr(module, name, None) is value
    ]
    return any(
        ("", name) in ModuleAnalyzer.for_module(module.__name__).find_attr_docs()
        for module in definers
    )


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Fail the build, with or without ``-W``, if a public name is not documented."""
    domain = env.domains.python_domain
    modules = [importlib.import_module(name) for name in app.config.api_coverage_modules]
    for line in missing(modules, [*domain.objects, *domain.modules]):
        logger.error(line)
        app.statuscode = 1


def setup(app: Sphinx) -> dict[str, bool]:
    """Check once every page has been read."""
    app.add_config_value("api_coverage_modules", [], "env")
    app.connect("env-updated", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
