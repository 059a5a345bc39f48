"""Compare the strategies' hypergradients with one another and with real training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from metaloss.bilevel import Lookback, Solution
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.bilevel.network import Params
from metaloss.checks import InputError, check_at_least, require
from metaloss.diagnostics.gradients.conclusions import conclusions
from metaloss.diagnostics.gradients.layers import layer_parts
from metaloss.diagnostics.gradients.real_training import features_on_the_way, slope
from metaloss.diagnostics.gradients.report import THRESHOLDS, Check, Report, Thresholds
from metaloss.diagnostics.gradients.subject import Size, Subject, subjects
from metaloss.experiments import Experiment
from metaloss.machine import threads

COMPARED = tuple(name for name in STRATEGIES if name != "auto")
"""``"auto"`` is always one of the others."""


def check_experiment(
    experiment: Experiment, size: Size, method: str | None = None, directions: int = 3
) -> Iterator[tuple[str, Report]]:
    """Check the hypergradients of an experiment's methods.

    Args:
        experiment: is not changed.
        size: how large a part of it to check.
        method: the name of the only method to check; all that learn by default.
        directions: the number of directions to train for real in.

    Yields:
        The name of a method, and the report on it.

    Raises:
        InputError: the experiment has no such method or cannot be run, or no strategy can be used.
    """
    with threads(experiment.settings.threads):
        for name, subject in subjects(experiment, size, method):
            yield name, check_grad(subject, directions)


def check_grad(subject: Subject, directions: int = 3) -> Report:
    """Compare the strategies with one another and with real training.

    Args:
        subject: the arguments of a lookahead; it is not changed.
        directions: the number of directions of the adjuster's parameters to train for real in: that
            of the hypergradient, and random ones.

    Returns:
        The comparisons. Where one differs, also which layer's derivative is wrong.

    Raises:
        InputError: no strategy can be used; fewer than one direction; or a dtype other than float64
            and float32.
    """
    check_at_least("directions", directions, 1)
    require(
        subject.dtype in THRESHOLDS,
        f"dtype: expected torch.float64 or torch.float32, got {subject.dtype}",
    )
    limits = THRESHOLDS[subject.dtype]
    found, missing = _strategies(subject)
    steps = len(subject.train_batches)
    length = _length(next(iter(found.values())).hypergradient)
    against = "mixed" if "mixed" in found else "unroll"
    checks = [
        _compare(found, missing, ("mixed", "unroll"), limits.exact),
        *_looking_back(subject, found, limits),
        *_against_real_training(subject, found, missing, directions, limits),
        _compare(found, missing, ("difference", against), limits.difference),
    ]
    own = subject.lookahead.strategy
    if own in missing:
        checks.append(Check(f"{own}, the recipe's strategy", None, 0.0, missing[own], needed=True))
    if not any(check.differs for check in checks):
        return Report(steps, length, checks, [], [])
    layers = layer_parts(subject)
    return Report(steps, length, checks, layers, conclusions(checks, layers, limits, steps))


def _strategies(subject: Subject) -> tuple[dict[str, Solution], dict[str, str]]:
    """Return the solution of each strategy, and the messages of those that cannot be used."""
    found: dict[str, Solution] = {}
    missing: dict[str, str] = {}
    refused: list[InputError] = []
    for name in COMPARED:
        lookahead = replace(subject.lookahead, strategy=name)
        try:
            found[name] = lookahead.solve(
                subject.model,
                subject.optimizer,
                subject.criterion,
                subject.train_batches,
                subject.meta_batch,
            )
        except InputError as error:
            missing[name] = str(error)
            refused.append(error)
        except RuntimeError as error:
            missing[name] = f"torch says: {str(error).splitlines()[0]}"
            refused.append(InputError(f"strategy {name!r}: {missing[name]}"))
    if not found:
        raise refused[0]
    return found, missing


def _compare(
    found: Mapping[str, Solution], missing: Mapping[str, str], names: tuple[str, str], most: float
) -> Check:
    """Compare two strategies; the error is relative to the longer hypergradient."""
    title = " against ".join(names)
    for name in names:
        if name in missing:
            return Check(title, None, most, missing[name])
    one, other = (found[name].hypergradient for name in names)
    gap = _length({name: one[name] - other[name] for name in one})
    longer = max(_length(one), _length(other))
    return Check(title, gap / longer if gap else 0.0, most)


def _looking_back(
    subject: Subject, found: Mapping[str, Solution], limits: Thresholds
) -> list[Check]:
    """Compare looking back over real steps with looking ahead, if training looks back."""
    own = "mixed" if subject.lookahead.strategy == "auto" else subject.lookahead.strategy
    if not subject.looks_back or own not in found:
        return []
    most = limits.difference if own == "difference" else limits.exact
    names = ("looking back", "looking ahead")
    try:
        both = dict(zip(names, (_looked_back(subject), found[own]), strict=True))
    except InputError as error:
        return [Check(" against ".join(names), None, most, str(error), needed=True)]
    return [_compare(both, {}, names, most)]


def _looked_back(subject: Subject) -> Solution:
    """Make the real steps, and return the hypergradient that looking back over them gives."""
    settings = subject.lookahead
    lookback = Lookback(
        settings.steps, settings.meta_loss, clip=settings.clip, strategy=settings.strategy
    )
    with subject.same_randomness():
        twin = subject.twin()
        for batch in twin.train_batches:
            with lookback.step(twin.model, twin.optimizer, twin.criterion, batch):
                twin.step(batch)
        solution = lookback.solve(twin.meta_batch)
    replace(solution, disagreement=None).check_consistent()  # the steps; passes are compared above
    return solution


def _against_real_training(
    subject: Subject,
    found: Mapping[str, Solution],
    missing: Mapping[str, str],
    directions: int,
    limits: Thresholds,
) -> list[Check]:
    note = _not_comparable(subject, next(iter(found.values())), limits)
    errors = {} if note else _errors(subject, found, directions, limits)
    most = {"difference": max(limits.real, limits.difference)}
    return [
        Check(
            f"{name} against real training",
            errors.get(name),
            most.get(name, limits.real),
            missing.get(name, note),
        )
        for name in COMPARED
    ]


def _not_comparable(subject: Subject, solution: Solution, limits: Thresholds) -> str:
    """Return why real training cannot be compared with; empty if it can."""
    if subject.lookahead.transform is not None:
        return "Lookahead(transform=...) takes other steps than the optimizer"
    precision = torch.finfo(subject.dtype).eps
    rounding = precision * float(solution.meta_loss.abs()) / max(limits.nudges)
    length = _length(solution.hypergradient)
    if length * limits.real < rounding:
        return (
            f"the hypergradient's length, {length:.1e}, is lost in the rounding errors of the "
            f"meta loss, {rounding:.1e}"
        )
    return ""


def _errors(
    subject: Subject,
    found: Mapping[str, Solution],
    directions: int,
    limits: Thresholds,
) -> dict[str, float]:
    """Return the largest error of each strategy over the directions, with the best nudge each."""
    held = features_on_the_way(subject)
    names, worst = list(found), dict.fromkeys(found, 0.0)
    for direction in _directions(found[names[0]].hypergradient, directions):
        best = dict.fromkeys(names, math.inf)
        for nudge in limits.nudges:
            truth = slope(subject, direction, nudge, held)
            for name in names:
                hypergradient = found[name].hypergradient
                gap = abs(_inner(hypergradient, direction) - truth)
                error = gap / max(_length(hypergradient), abs(truth))
                best[name] = min(best[name], error if math.isfinite(error) else math.inf)
            if all(error <= limits.real / 100 for error in best.values()):
                break  # a smaller error would tell nothing more
        worst = {name: max(worst[name], best[name]) for name in names}
    return worst


def _directions(hypergradient: Params, count: int) -> list[Params]:
    """Return unit directions: that of the hypergradient, and random ones."""
    generator = torch.Generator().manual_seed(17)
    drawn = [
        {
            name: torch.randn(g.shape, generator=generator, dtype=g.dtype).to(g.device)
            for name, g in hypergradient.items()
        }
        for _ in range(count - 1)
    ]
    return [
        {name: t / _length(each) for name, t in each.items()} for each in (hypergradient, *drawn)
    ]


def _inner(one: Params, other: Params) -> float:
    return sum(float((one[name] * other[name]).sum()) for name in one)


def _length(tensors: Params) -> float:
    return float(_inner(tensors, tensors) ** 0.5)
