"""Labels that may be two spellings of one class, or stand for none."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from decimal import Decimal, InvalidOperation

_MISSING = {"nan", "nat", "none", "null", "n/a", "<na>"}  # in lower case
_SHOWN = 5  # groups of labels that a note names


def spellings(labels: Iterable[str]) -> str | None:
    """Return a note on labels that may mean the same.

    They are equal as numbers, or they differ only in case, in spaces or in how accents are encoded.

    Args:
        labels: the label of each sample.

    Returns:
        A sentence that names them; ``None`` if there are no such labels.

    Example:
        >>> from metaloss.tasks.own_spellings import spellings
        >>> print(spellings(["1", "1.0", "1", "2"]).split("samples: ")[1])
        '1' (2) and '1.0' (1)
        >>> spellings(["cat", "dog"]) is None
        True
    """
    counts = Counter(labels)
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for label in sorted(counts):
        groups[_meaning(label)].append(label)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return None
    named = [" and ".join(f"{label!r} ({counts[label]})" for label in group) for group in several]
    more = f"; {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return (
        "labels that may mean the same are different classes, here with their numbers of samples: "
        f"{'; '.join(named[:_SHOWN])}{more}"
    )


def missing(labels: Iterable[str]) -> str | None:
    """Return a note on classes whose names are how programs write a missing label.

    Args:
        labels: the label of each sample.

    Returns:
        A sentence that names them; ``None`` if there are no such labels.

    Example:
        >>> from metaloss.tasks.own_spellings import missing
        >>> print(missing(["cat", "nan", "nan"]).split("samples: ")[1])
        'nan' (2)
        >>> missing(["cat", "dog"]) is None
        True
    """
    counts = Counter(label for label in labels if label.strip().casefold() in _MISSING)
    if not counts:
        return None
    named = "; ".join(f"{label!r} ({counts[label]})" for label in sorted(counts))
    return (
        "labels that may stand for a missing one are classes, here with their numbers of samples: "
        f"{named}"
    )


def _meaning(label: str) -> Hashable:
    """Return what is the same for all spellings of a label."""
    try:
        number = Decimal(label.strip())
    except InvalidOperation:
        number = None
    if number is not None and number.is_finite() and "_" not in label:
        return number
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())
