"""Regression tasks with corrupted values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from metaloss.arguments import checked
from metaloss.checks import check_at_least
from metaloss.seeding import generator

from .batch_plan import check_batch_size
from .corruption import NoisyValues
from .make_noise import Noisy, joined, make_noise, with_noise
from .meta_samples import MetaSamples
from .set_loaders import Transforms, loaders_of
from .splits import split
from .tables import Table
from .task import Task


def regression_task(
    *,
    data: Table | Callable[[], Table],
    noise: Callable[..., NoisyValues] | None = None,
    num_meta: float | None = 100,
    num_validation: int = 0,
    num_test: int = 100,
    subset: int | None = None,
    meta_from: str = "train",
    batch_size: int = 50,
    meta_batch_size: int = 50,
    name: str | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Task:
    """Build a regression task: split the data, standardise it and corrupt training targets.

    Inputs and targets are standardised by the mean and standard deviation of the training samples,
    taken before the corruption. Errors are therefore in standard deviations of the targets.

    Args:
        data: a table, or a function that returns one.
        noise: a function of :mod:`metaloss.tasks.corruption` with its own arguments, such as
            ``rate``, already bound. It is called with ``targets`` and ``generator``, and with
            ``inputs`` if it takes them.
        num_meta: samples in the meta set; 0 for no meta set; ``None``, with
            ``meta_from="shared"``, for all training samples; or, with ``meta_from="noisy"``, a
            fraction of the training samples, in (0, 1).
        num_validation: clean samples in the validation set; 0 for no validation set.
        num_test: samples in the test set.
        subset: training samples; by default, all samples that are left.
        meta_from: the origin of the meta samples. "train" takes samples with their own values out
            of the training samples. "noisy" takes them out too and corrupts them as well. "shared"
            means training samples, which are trained on too. The last two need a noise-tolerant
            meta loss (:mod:`metaloss.meta_losses`).
        batch_size: training samples in a batch. A last batch that is not full is dropped.
        meta_batch_size: meta samples in a batch, likewise.
        name: the task's name in the records; by default, that of the table.
        seed: the seed of the run. The split, the corruption and the order of the samples have
            random streams of their own.
        device: the device of the data and the batches.

    Returns:
        The task, without class names.

    Raises:
        InputError: an argument is out of range, or there are not enough samples.

    Example:
        >>> from functools import partial
        >>> from metaloss.tasks import corruption, diabetes, regression_task
        >>> noise = partial(corruption.replaced, rate=0.4)
        >>> task = regression_task(data=diabetes, noise=noise, num_meta=60)
        >>> task.train.num_samples, task.num_classes
        (282, None)
    """
    checked("data", data, Table | Callable[..., Table])
    checked("noise", noise, Callable[..., NoisyValues] | None)
    table = checked("data", data() if callable(data) else data, Table)
    meta = MetaSamples(meta_from, num_meta, ("train", "noisy", "shared"), seed)
    check_at_least("num_validation", num_validation, 0)
    meta, subset = meta.counted(len(table), (num_validation, num_test), subset)
    held_out = {"test": num_test, "meta": meta.held_out, "validation": num_validation}
    parts = split(
        torch.arange(len(table)),
        {part: size for part, size in held_out.items() if size or part == "test"}
        | {"train": subset},
        generator(seed, "split"),
        arguments={"train": "subset", **{part: f"num_{part}" for part in held_out}},
    )
    table = _standardised(table, parts["train"])
    sets = {part: table.subset(index) for part, index in parts.items()}
    noisy: Noisy | None = None
    if noise is not None:
        draws = generator(seed, "noise")
        targets, inputs = joined(sets, meta.corrupted)
        noisy = make_noise(noise, targets, None, draws, inputs)
        sets, noisy = with_noise(sets, meta.corrupted, noisy)
    chosen = meta.shared(len(sets["train"]))
    if chosen is not None:
        sets["meta"] = sets["train"].subset(chosen)
    if "meta" in sets:
        check_batch_size("meta_batch_size", meta_batch_size, len(sets["meta"]))
    loaders = loaders_of(
        sets,
        Transforms(),
        batch_size=batch_size,
        meta_batch_size=meta_batch_size,
        eval_batch_size=len(table),
        augment_meta=False,
        seed=seed,
        device=device,
    )
    return Task(
        name=name or table.name,
        class_names=None,
        sample_shape=table.sample_shape,
        train=loaders["train"],
        meta=loaders.get("meta"),
        validation=loaders.get("validation"),
        test=loaders["test"],
        train_targets=sets["train"].targets,
        noise=noisy,
        test_checked=table.targets_checked,
        meta_samples=meta,
        meta_checked=meta.checked(table.targets_checked, corrupted=noisy is not None),
        shared=chosen,
    )


def _standardised(table: Table, train: Tensor) -> Table:
    """Return the table with mean 0 and standard deviation 1 over the training samples."""

    def scaled(columns: Tensor) -> Tensor:
        known = columns[train]
        spread = known.std(dim=0)
        return (columns - known.mean(dim=0)) / torch.where(spread > 0, spread, 1.0)

    return replace(table, inputs=scaled(table.inputs), targets=scaled(table.targets))
