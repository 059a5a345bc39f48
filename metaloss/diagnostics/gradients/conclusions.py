"""What follows from the comparisons, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from metaloss.diagnostics.gradients.layers import Layer
from metaloss.diagnostics.gradients.report import Check, Thresholds


def conclusions(
    checks: Sequence[Check], layers: Sequence[Layer], limits: Thresholds, steps: int
) -> list[str]:
    """Say which strategies are wrong, in which layer, and what to do.

    Args:
        checks: the comparisons; at least one differs.
        layers: in the order of the forward pass.
        limits: the thresholds.
        steps: K.
    """
    said = [_which_strategy(checks)]
    differing = [layer for layer in layers if layer.differs(limits.exact, limits.layers)]
    if differing:
        said += [_which_layer(layers, differing), _which_derivative(differing, limits.layers)]
    elif layers and steps > 1:
        said.append("no layer differs at the first step: a later step does")
    return said


def _which_strategy(checks: Sequence[Check]) -> str:
    real = " against real training"
    status = {c.name.removesuffix(real): c.status for c in checks if c.name.endswith(real)}
    right, wrong = ([n for n, s in status.items() if s == kind] for kind in ("ok", "differs"))
    among = [c.status for c in checks if not c.name.endswith(real)]
    if wrong and right:
        return (
            f"{' and '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} wrong: "
            f"{' and '.join(right)} {'agrees' if len(right) == 1 else 'agree'} with real training"
        )
    if wrong and "differs" in among:
        return "the strategies differ from one another, and none agrees with real training"
    if wrong:
        who = "all strategies agree with each other but not with"
        if "ok" not in among:
            who = f"{wrong[0]} does not agree with"
        return (
            f"{who} finite differences of real training: the loss, conditioner or model is not "
            "differentiable where it is evaluated, or detaches something"
        )
    if right:
        return "the strategies differ from one another by less than real training can tell"
    return "the strategies differ from one another; real training cannot tell which is right"


def _which_layer(layers: Sequence[Layer], differing: Sequence[Layer]) -> str:
    """Name the last layer that differs: a wrong derivative affects all layers up to it."""
    last = differing[-1]
    suspects = ", ".join([last.label, *last.followed_by])
    return (
        f"{len(differing)} of {len(layers)} layers differ; the last of them in the forward pass is "
        f"{last.label}: the wrong derivative is in {suspects}"
    )


def _which_derivative(differing: Sequence[Layer], tolerance: float) -> str:
    def wrong(name: str) -> bool:
        errors = (getattr(layer, name) for layer in differing)
        return any(error is not None and not error <= tolerance for error in errors)

    forward, backward = wrong("forward_differences"), wrong("backward_differences")
    if forward and backward:
        return (
            "neither forward mode nor backward is the derivative of what is computed there: "
            "something is detached, not differentiable or random"
        )
    if forward:
        return (
            "forward mode is wrong there (the jvp of an autograd.Function, say); "
            "Lookahead(strategy='unroll') does not need it"
        )
    if backward:
        return (
            "the backward pass there, or its derivative, is wrong; if mixed agrees with real "
            "training it is the derivative, which mixed does not need for one step"
        )
    if wrong("hessian"):
        return "the second derivative there is wrong; one step (K = 1) does not need it"
    return "forward mode and double backward differ by less than central differences can tell"
