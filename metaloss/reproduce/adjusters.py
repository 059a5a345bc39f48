"""The meta-training whose adjusters the runs of a table use."""

from __future__ import annotations

import re
from collections.abc import Sequence

from metaloss.config import configuration


def adjusters_text(file: str, own: Sequence[str], bindings: Sequence[str]) -> str:
    """Return the configuration of a meta-training, as one gin file.

    Macros and scopes that the meta-training does not use, such as those of the runs' data, would be
    refused there; of the bindings for every run, they are left out.

    Args:
        file: its gin file.
        own: bindings for it alone.
        bindings: bindings for every run, read last.

    Raises:
        InputError: a binding is invalid there.
    """
    with configuration([file], own) as parsed:
        text = parsed.text
    used: list[str] = []
    for binding in bindings:
        if _is_used(binding, text):
            used.append(binding)
            text += f"\n{binding}"  # which may use a macro that comes after it
    with configuration([file], [*own, *used]) as parsed:
        return parsed.text


def _is_used(binding: str, text: str) -> bool:
    """Return whether a configuration uses the macro or the scope that a binding is for, if any."""
    for given, use in ((r"(\w+)", r"%{}\b"), (r"([\w./]+)/[\w.]+", r"(^|@){}/")):
        name = re.match(rf"\s*{given}\s*=", binding)
        if name is not None:
            return re.search(use.format(re.escape(name.group(1))), text, re.MULTILINE) is not None
    return True
