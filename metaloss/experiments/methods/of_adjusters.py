"""Methods that use learned adjusters (Algorithm 2)."""

from __future__ import annotations

from collections.abc import Sequence

from metaloss.arguments import checked
from metaloss.checks import require
from metaloss.experiments.methods.conventional import Conventional
from metaloss.experiments.methods.method import Method
from metaloss.experiments.methods.transferred import Transferred
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
    """Return a method for each learned adjuster: what ``metaloss transfer`` runs.

    Args:
        adjusters: the names or folders of one or more adjusters.
        compare: also return cross entropy, and each loss with its default hyperparameters.
        strength: the factor by which their distance from the defaults is scaled, as for
            :func:`~metaloss.from_pretrained`.
        components: your own classes that their cards name.

    Raises:
        InputError: An argument has the wrong type, there is no adjuster, or one cannot be loaded.

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
    # Load all of them first, so that an error comes before any run.
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
    """Return the methods that adjusters are compared with: the plain loss, and fixed losses.

    Args:
        losses: the adjusters' losses, one or more, all of one kind. Losses that are the same at
            their defaults make one method.

    Example:
        >>> from metaloss.losses import GCE, SL, Ranged
        >>> from metaloss.experiments.methods.of_adjusters import conventional
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
    """Return a name as it is, and a folder as the shortest end of its path that is unique."""
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
