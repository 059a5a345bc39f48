"""The adjusters that come with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "adjusters"


class Pretrained(NamedTuple):
    """An adjuster that comes with the package.

    Attributes:
        name: what :func:`~metaloss.from_pretrained` takes.
        loss: the family whose hyperparameters it predicts.
        reads: its conditioner.
        source: the data set that it was meta-trained on.
        card: everything that its card says.
    """

    name: str
    loss: str
    reads: str
    source: str
    card: dict[str, Any]

    def __repr__(self) -> str:
        """Without the card, which is a page."""
        return f"Pretrained({self.name}: {self.loss} on {self.reads}, from {self.source})"


def list_pretrained() -> list[Pretrained]:
    """The adjusters that come with the package, by name.

    Example:
        >>> import metaloss
        >>> metaloss.list_pretrained()[1]
        Pretrained(gce-cifar10-margin: GCE on Margin, from CIFAR-10)
    """
    found = []
    for path in sorted(FOLDER.glob("*/card.json")):
        card = json.loads(path.read_text())
        found.append(
            Pretrained(
                name=path.parent.name,
                loss=_family(card["loss"]),
                reads=_said(card["conditioner"]),
                source=card["about"]["source"],
                card=card,
            )
        )
    return found


def _family(spec: Any) -> str:
    """The family that a loss is made of, as :attr:`~metaloss.losses.LossFamily.family`."""
    return _family(spec["args"]["loss"]) if "loss" in spec["args"] else spec["type"]


def _said(spec: Any) -> str:
    """A component as one would write it, without what is usual."""
    args = spec["args"]
    inner = args.get("conditioners", [args["conditioner"]] if "conditioner" in args else [])
    return spec["type"] + (f"({', '.join(map(_said, inner))})" if inner else "")
