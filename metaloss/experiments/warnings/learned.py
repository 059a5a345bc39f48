"""Whether the hyperparameters of the training samples show that an adjuster learned something."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from metaloss.experiments.samples import pooled
from metaloss.experiments.warnings.settable import settable
from metaloss.losses import Hyperparameter
from metaloss.training.task_training import TaskTraining

# Differences below this fraction of a hyperparameter's range make no difference to training.
SMALL = 0.05
# Rank correlations above this may be chance.
REVERSED = -0.2
_MORE = settable("META_EVERY", "EPOCHS")
_HOLD = settable("HOLD_NORM = 0.9")


def doubts(
    hyperparameters: Sequence[Hyperparameter],
    samples: Mapping[str, Tensor],
    hold_norm: float = 0.0,
) -> list[str]:
    """Look for signs that an adjuster learned nothing, or the wrong way round.

    A hyperparameter is constant if all samples get about the same value, and saturated if that
    value is an end of its range. Both are reported only if none of the loss's hyperparameters tells
    samples apart: one is enough. A hyperparameter is reversed if samples with low margins, or large
    residuals, are trusted more than others.

    Args:
        hyperparameters: those of the loss.
        samples: what :func:`~metaloss.experiments.collect` returns.
        hold_norm: that of the hypergradient, which the advice depends on.

    Returns:
        A warning for each doubtful hyperparameter.

    Example:
        >>> import torch
        >>> from metaloss.experiments.warnings.learned import doubts
        >>> from metaloss.losses import GCE
        >>> margin = torch.linspace(-5, 5, 100)
        >>> q = torch.sigmoid(-margin).unsqueeze(1)
        >>> doubts(GCE().hyperparameters, {"margin": margin, "hparams": q})
        []
        >>> doubts(GCE().hyperparameters, {"margin": margin, "hparams": 1 - q})[0][:49]
        'q: expected low margins to be trusted less than h'
    """
    name = "margin" if "margin" in samples else "residual"
    order = samples[name].double() * (1 if name == "margin" else -1)
    columns = list(zip(hyperparameters, samples["hparams"].double().unbind(dim=1), strict=True))
    varied = [(h, values) for h, values in columns if _tells_apart(h, values, order)]
    if not varied:
        return [_flat(h, values, hold_norm) for h, values in columns]
    low, high = (
        ("low margins", "high ones") if name == "margin" else ("large residuals", "small ones")
    )
    return [
        f"{h.name}: expected {low} to be trusted less than {high}, got the reverse: it is "
        f"{_mean(values[_lowest(order, 4)])} in the quarter of the samples with {low} and "
        f"{_mean(values[_lowest(-order, 4)])} in that with {high} (rank correlation with trust "
        f"{_rank_correlation(order, trust(h, values)):.2f}). Make more meta steps "
        f"{_MORE}{_or_hold(hold_norm)}; if it is the network that cannot tell hard samples from "
        "wrong labels yet, train it longer, or add features (conditioners/margin_context.gin)"
        for h, values in varied
        if _reversed(h, values, order)
    ]


def trust(h: Hyperparameter, values: Float[Tensor, " samples"]) -> Float[Tensor, " samples"]:
    """Return where values lie between an oracle's for wrong labels, 0, and for right ones, 1.

    Args:
        h: a hyperparameter with ``clean`` and ``noisy``.
        values: its value for each sample, ``[samples]``.
    """
    assert h.clean is not None and h.noisy is not None
    return (values - h.noisy) / (h.clean - h.noisy)


def doubts_of(trainings: Collection[TaskTraining]) -> list[str]:
    """Return the doubts about an adjuster that was learned on several tasks.

    Args:
        trainings: the trainings on the tasks, finished. Advice goes by the least ``hold_norm``.
    """
    loss = next(iter(trainings)).state.criterion.loss
    hold_norm = min(each.recipe.lookahead.hold_norm for each in trainings)
    return doubts(loss.hyperparameters, pooled(trainings), hold_norm)


def _rank_correlation(one: Tensor, other: Tensor) -> float:
    """Return Spearman's rank correlation."""
    from scipy.stats import spearmanr  # it loads slowly, and few runs need it

    correlation, _ = spearmanr(one.cpu().numpy(), other.cpu().numpy())
    return float(correlation)


def _tells_apart(h: Hyperparameter, values: Tensor, order: Tensor) -> bool:
    """Return whether values differ between samples.

    The percentiles do not show a few wrong labels, but the samples with the lowest margins do.
    """
    low, high = _percentiles(values)
    tails = values[_lowest(order, 100)].mean() - values[_lowest(-order, 100)].mean()
    return max(high - low, abs(float(tails))) >= SMALL * (h.high - h.low)


def _reversed(h: Hyperparameter, values: Tensor, order: Tensor) -> bool:
    if h.clean is None or h.noisy is None or h.clean == h.noisy:
        return False
    told = trust(h, values)
    more = told[_lowest(order, 4)].mean() - told[_lowest(-order, 4)].mean()
    return float(more) > SMALL and _rank_correlation(order, told) < REVERSED


def _flat(h: Hyperparameter, values: Tensor, hold_norm: float) -> str:
    """Return the warning for a hyperparameter that tells no samples apart."""
    near = SMALL * (h.high - h.low)
    for end, share in (
        (h.low, (values <= h.low + near).double().mean()),
        (h.high, (values >= h.high - near).double().mean()),
    ):
        if float(share) >= 1 - SMALL:
            which = "lowest" if end == h.low else "highest"
            return (
                f"{h.name}: expected a value for each sample, got its {which}, {end:g}, or nearly, "
                f"for {100 * float(share):.0f}% of them. {_saturated(h, end, hold_norm)}"
            )
    low, high = _percentiles(values)
    return (
        f"{h.name}: expected a value for each sample, got about the same for all: {low:.3g} to "
        f"{high:.3g} from the 5th to the 95th percentile, of a range from {h.low:g} to {h.high:g}. "
        f"Make more meta steps {_MORE}{_or_hold(hold_norm)}, or give the "
        "adjuster features that tell samples apart (gin: conditioners/margin_context.gin)"
    )


def _saturated(h: Hyperparameter, end: float, hold_norm: float) -> str:
    if end == h.noisy:
        cure = f"let it learn more before the loss begins {settable('WARMUP_EPOCHS')}"
        if hold_norm > 0.9:
            cure = f"let the length of a step count a little {_HOLD}"
        return f"Every label is treated as a wrong one. If the network learns too little, {cure}"
    right = "That is right if nearly all labels are; if not" if end == h.clean else "If it is not"
    if hold_norm < 0.9:
        return (
            f"{right} meant, longer steps alone may have taught it: hold their length fixed {_HOLD}"
        )
    return f"{right} meant, make more meta steps {_MORE}"


def _or_hold(hold_norm: float) -> str:
    return f", or hold the length of a step fixed {_HOLD}" if hold_norm < 0.9 else ""


def _lowest(order: Tensor, parts: int) -> Tensor:
    """Return the positions of the lowest values, one part of so many, and one at least."""
    return order.argsort(stable=True)[: max(1, len(order) // parts)]


def _percentiles(values: Tensor) -> tuple[float, float]:
    """Return the 5th and the 95th percentile; torch.quantile refuses large tensors."""
    ascending = values.sort().values
    last = len(values) - 1
    return float(ascending[int(SMALL * last)]), float(ascending[last - int(SMALL * last)])


def _mean(values: Tensor) -> str:
    return f"{float(values.mean()):.3g}"
