"""The adjusters that come with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

FAMILIES = ("GCE", "JS", "PolySoft", "SL")
FOLDER = Path(__file__).parent / "adjusters"
SHORT = {family.lower(): f"{family.lower()}-fashion-mnist-statistics" for family in FAMILIES}
"""The recommended adjuster of each family, which needs no sample ids."""


class Pretrained(NamedTuple):
    """An adjuster that comes with the package.

    Attributes:
        name: its name for :func:`~metaloss.from_pretrained`.
        loss: the loss family whose hyperparameters it predicts.
        reads: its conditioner.
        source: the data set that it was meta-trained on.
        card: its whole card.
    """

    name: str
    loss: str
    reads: str
    source: str
    card: dict[str, Any]

    def __repr__(self) -> str:
        """Omits the card, which is long."""
        return f"Pretrained({self.name}: {self.loss} on {self.reads}, from {self.source})"


def list_pretrained() -> list[Pretrained]:
    """Return the adjusters that come with the package, sorted by name.

    Example:
        >>> import metaloss
        >>> metaloss.list_pretrained()[2]
        Pretrained(gce-fashion-mnist-statistics: GCE on MarginStatistics, from Fashion-MNIST)
    """
    found = []
    for path in sorted(FOLDER.glob("*/card.json")):
        card = json.loads(path.read_text())
        found.append(
            Pretrained(
                name=path.parent.name,
                loss=_family(card["loss"]),
                reads=as_code(card["conditioner"]),
                source=card["about"]["source"],
                card=card,
            )
        )
    return found


def _family(spec: Any) -> str:
    """Return the name of a loss's family, as :attr:`~metaloss.losses.LossFamily.family`."""
    return _family(spec["args"]["loss"]) if "loss" in spec["args"] else spec["type"]


def as_code(spec: Any) -> str:
    """Return a component as Python code, without its other arguments."""
    args = spec["args"]
    inner = args.get("conditioners", [args["conditioner"]] if "conditioner" in args else [])
    return spec["type"] + (f"({', '.join(map(as_code, inner))})" if inner else "")
