"""A run of `metaloss fit` as gin files and bindings, which `metaloss train` can run again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from metaloss.files import user_path
from metaloss.fitting.choices import OURS, Choices
from metaloss.fitting.facts import Facts
from metaloss.tasks.transforms import STATISTICS

_SMALL = ("small_cnn", "resnet8", "mlp")  # on a CPU, more threads than one make these slower
# Processes that read images which do not fit in memory: as many on any machine, since a run is
# resumed with the same configuration.
_WORKERS = 4
LEARNED = "recommended"  # the name of the method in the recipes of that name


class GinRun(NamedTuple):
    """The configuration of a run.

    Attributes:
        files: names of gin files of the package; later ones override earlier ones.
        bindings: single bindings, read last.
    """

    files: tuple[str, ...]
    bindings: tuple[str, ...]


def gin_run(
    facts: Facts,
    choices: Choices,
    places: Mapping[str, object],
    *,
    baseline: bool = False,
    seeds: tuple[int, ...] = (0,),
    device: str | None = None,
    strict: bool = False,
) -> GinRun:
    """Return the configuration of a run.

    ``places`` are the values of the macros ``DATA``, ``CLEAN``, ``TEST`` and ``LABEL``.
    """
    own = choices.model in OURS
    learned = "recommended" if choices.clean else "recommended_no_clean"
    files = ["tasks/own_data.gin"]
    files.append(f"models/{choices.model}.gin" if own else "models/torchvision.gin")
    files += ["runs/sgd.gin", "losses/ce.gin", f"recipes/{learned}.gin"]
    files += ["recipes/pretrained.gin"] if choices.weights is not None else []
    macros: dict[str, object] = {
        **places,
        "NUM_CLASSES": facts.classes,
        "NUM_TEST": choices.held_out or None,
        "TRAIN_AS_TEST": choices.held_out == 0,
        "EPOCHS": choices.epochs,
        "MILESTONES": (round(choices.epochs * 0.6), round(choices.epochs * 0.85)),
        "BATCH_SIZE": choices.batch_size,
        "SEEDS": seeds,
        "DEVICE": device,
    }
    if choices.model in _SMALL:
        macros["THREADS"] = 1
    if choices.clean:
        macros |= {
            "NUM_CLEAN": choices.clean,
            "META_BATCH_SIZE": choices.meta_batch_size,
            "META_EVERY": choices.meta_every,
        }
    if facts.images:
        macros["IN_CHANNELS"] = choices.channels
    if facts.files:
        macros |= {"SIZE": choices.size, "IN_MEMORY": choices.in_memory, "STRICT": strict}
        if not choices.in_memory:
            macros["WORKERS"] = _WORKERS
    if not own:
        macros |= {"NETWORK": choices.model, "WEIGHTS": _resolved(choices.weights)}
    elif choices.model == "mlp":
        side = choices.size or 0
        shape = (choices.channels, side, side) if facts.files else facts.shape
        macros["IN_FEATURES"] = math.prod(shape)
    lines = [f"{name} = {value!r}" for name, value in macros.items()]
    lines += [*_inputs(facts, choices), *_methods(choices, baseline=baseline)]
    return GinRun(tuple(files), tuple(lines))


def _inputs(facts: Facts, choices: Choices) -> list[str]:
    """Return how samples in memory become the network's inputs."""
    if not facts.files and not facts.bytes:
        return ["STANDARDISE = True"]
    if not choices.in_memory:  # image files have their own transforms
        return [f"FLIP = {choices.flip}"]
    side = choices.size or min(facts.shape[1:])
    lines = [
        "AUGMENT = @tasks.Augment",
        f"tasks.Augment.flip = {choices.flip}",
        f"tasks.Augment.crop_padding = {side // 8}",
    ]
    if choices.weights is not None and choices.channels == 3:
        mean, std = STATISTICS["imagenet"]  # what the weights were learned with
        lines += [f"tasks.classification_task.{k} = {v}" for k, v in (("mean", mean), ("std", std))]
    return lines


def _methods(choices: Choices, *, baseline: bool) -> list[str]:
    kind = "Adjusted" if choices.clean else "Transferred"
    own = f"@recommended/experiments.{kind}()"
    return [f"experiments.Experiment.methods = [@ce/experiments.Conventional(), {own}]"] * baseline


def _resolved(weights: str | None) -> str | None:
    """Return the absolute path of a file of weights, and a name as it is."""
    file = None if weights is None else user_path(weights)
    return weights if file is None or not file.is_file() else str(file.resolve())
