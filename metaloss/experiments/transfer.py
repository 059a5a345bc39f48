"""Learned adjusters put to work (Algorithm 2)."""

from __future__ import annotations

from collections.abc import Sequence

from metaloss.arguments import checked
from metaloss.checks import require
from metaloss.experiments.methods import Conventional, Method, Transferred
from metaloss.files import user_path
from metaloss.kinds import CLASSIFICATION
from metaloss.losses import LossFamily, plain_loss
from metaloss.losses.narrowed import widest
from metaloss.pretrained import from_pretrained


def transferred(
    *,
    adjusters: Sequence[str],
    compare: bool = False,
    strength: float = 1.0,
    components: Sequence[type] = (),
) -> list[Method]:
    """A row for each learned adjuster: what ``metaloss transfer`` runs.

    Args:
        adjusters: names or folders; one or more.
        compare: also give cross entropy, and each loss with its default hyperparameters.
        strength: how far from the defaults they may go, as for :func:`~metaloss.from_pretrained`.
        components: classes of your own that their cards name.

    Raises:
        InputError: an argument of another type, an adjuster that cannot be loaded, or none at all.

    Example:
        >>> from metaloss.experiments import transferred
        >>> [method.name for method in transferred(adjusters=["gce-cifar10-context"], compare=True)]
        ['CE', 'GCE', 'T-gce-cifar10-context']
    """
    checked("adjusters", adjusters, Sequence[str])
    checked("compare", compare, bool)
    checked("components", components, Sequence[type])
    require(len(adjusters) > 0, "adjusters: expected one or more, got none")
    require(
        len(set(adjusters)) == len(adjusters),
        f"adjusters: expected different ones, got {', '.join(adjusters)}",
    )
    # All are loaded: what cannot be is told before anything is made.
    losses = [
        from_pretrained(adjuster, components=components, strength=strength).loss
        for adjuster in adjusters
    ]
    rows = [
        Transferred(
            name=f"T-{_label(adjuster, adjusters)}",
            adjuster=adjuster,
            components=components,
            strength=strength,
        )
        for adjuster in adjusters
    ]
    return [*(conventional(losses) if compare else ()), *rows]


def conventional(losses: Sequence[LossFamily]) -> list[Method]:
    """What adjusters are compared with: the plain loss, and each loss with its defaults.

    Args:
        losses: the adjusters', one or more of one kind; those that are the same with their
            defaults have one row.

    Example:
        >>> from metaloss.losses import GCE, SL, Ranged
        >>> from metaloss.experiments.transfer import conventional
        >>> narrow = Ranged(GCE(), {"q": (0.4, 0.9)})
        >>> [method.name for method in conventional([GCE(), SL(), narrow, SL(A=-6.0)])]
        ['CE', 'GCE', 'SL(A=-4.0)', 'SL(A=-6.0)']
    """
    different = {repr(loss): loss for loss in map(widest, losses)}
    kinds = [loss.family for loss in different.values()]
    names = [
        kind if kinds.count(kind) == 1 else said
        for kind, said in zip(kinds, different, strict=True)
    ]
    plain = plain_loss(losses[0].kind)
    shown = "CE" if plain.kind == CLASSIFICATION else "L2"
    rows = zip([shown, *names], [plain, *different.values()], strict=True)
    return [Conventional(name=name, loss=loss) for name, loss in rows]


def _label(adjuster: str, others: Sequence[str]) -> str:
    """A name as it is; of a folder the last parts of its path, so many that tell it apart."""
    if not user_path(adjuster).is_dir():
        return adjuster

    def last(folder: str, count: int) -> tuple[str, ...]:
        return tuple(part for part in user_path(folder).resolve().parts if part != "adjuster")[
            -count:
        ]

    count = 2  # RUN/METHOD/seed-0/adjuster is named after its method
    while sum(last(other, count) == last(adjuster, count) for other in others) > 1 and count < 9:
        count += 1
    return "-".join(last(adjuster, count))
