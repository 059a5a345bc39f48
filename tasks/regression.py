"""A regression task with corrupted targets: which samples, which targets, which batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from metaloss.arguments import checked
from metaloss.checks import check_at_least
from metaloss.seeding import derive, generator
from metaloss.types import Loader

from .batch_loader import BatchLoader
from .batch_plan import check_batch_size
from .corruption import NoisyValues
from .make_noise import make_noise
from .splits import split
from .tables import Table


@dataclass(frozen=True)
class RegressionTask:
    """A data set with corrupted training targets; a :class:`metaloss.types.TaskLike`.

    Attributes:
        name: what the records call it.
        sample_shape: the shape of one sample, without the batch.
        train: training samples with the targets to train on.
        meta: clean samples that the adjuster is meta-trained on; ``None`` if there are none.
        validation: held-out clean samples for choices; ``None`` if there are none.
        test: clean samples that nothing is chosen by.
        train_targets: the targets of ``train``, addressed by a batch's ``index``.
        noise: what corruption did to them; ``None`` if there was none.
        test_checked: whether the targets of ``test`` are known to be right.
    """

    name: str
    sample_shape: tuple[int, ...]
    train: Loader
    meta: Loader | None
    validation: Loader | None
    test: Loader
    train_targets: Float[Tensor, "samples values"]
    noise: NoisyValues | None
    test_checked: bool = True

    @property
    def num_classes(self) -> None:
        """None: targets are values."""
        return

    @property
    def flipped(self) -> Bool[Tensor, " samples"] | None:
        """Which of ``train_targets`` are wrong; ``None`` where nothing was corrupted here."""
        return None if self.noise is None else self.noise.flipped


def regression_task(
    *,
    data: Table | Callable[[], Table],
    noise: Callable[..., NoisyValues] | None = None,
    num_meta: int = 100,
    num_validation: int = 0,
    num_test: int = 100,
    subset: int | None = None,
    batch_size: int = 50,
    meta_batch_size: int = 50,
    name: str | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> RegressionTask:
    """Build a task: split the data, bring it to one scale, and corrupt the training targets.

    Inputs and targets are brought to mean 0 and standard deviation 1 on the training samples as
    they were before corruption: errors are in standard deviations of the targets.

    Args:
        data: a table, or a function that gives one.
        noise: a function of :mod:`metaloss.tasks.corruption` with its own arguments, such as
            ``rate``, already bound; called with ``targets`` and ``generator``.
        num_meta: clean samples for the meta set; 0 for none.
        num_validation: clean samples for the validation set; 0 for none.
        num_test: samples for the test set.
        subset: train on so many of the samples left; on all if not given.
        batch_size: training samples in a batch; a last batch that is not full is left out.
        meta_batch_size: meta samples in a batch, likewise.
        name: what the records call the task; the table's if not given.
        seed: of the run: the split, the corruption and the order draw from streams of their own.
        device: where data is held and batches go.

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
    check_at_least("num_meta", num_meta, 0)
    check_at_least("num_validation", num_validation, 0)
    if num_meta:
        check_batch_size("meta_batch_size", meta_batch_size, num_meta)
    sizes = {"test": num_test, "meta": num_meta, "validation": num_validation}
    wanted = {part: size for part, size in sizes.items() if size or part == "test"}
    every = torch.arange(len(table))
    arguments = {"train": "subset", **{part: f"num_{part}" for part in sizes}}
    asked = {**wanted, "train": subset}
    parts = split(every, asked, generator(seed, "split"), arguments=arguments)
    inputs = _standardised(table.inputs, parts["train"])
    targets = _standardised(table.targets, parts["train"])
    train_targets = targets[parts["train"]]
    noisy = None
    if noise is not None:
        noisy = make_noise(noise, train_targets, None, generator(seed, "noise"), None)
        train_targets = noisy.targets

    def loader(part: str, size: int, given: Tensor | None = None) -> Loader:
        index = parts[part]
        return BatchLoader(
            inputs[index],
            targets[index] if given is None else given,
            size,
            seed=derive(seed, part),
            shuffle=part in {"train", "meta"},
            drop_last=part in {"train", "meta"},
            device=device,
        )

    return RegressionTask(
        name=name or table.name,
        sample_shape=tuple(table.inputs.shape[1:]),
        train=loader("train", batch_size, train_targets),
        meta=loader("meta", meta_batch_size) if num_meta else None,
        validation=loader("validation", num_validation) if num_validation else None,
        test=loader("test", num_test),
        train_targets=train_targets,
        noise=noisy,
        test_checked=table.targets_checked,
    )


def _standardised(columns: Tensor, train: Tensor) -> Tensor:
    known = columns[train]
    spread = known.std(dim=0)
    return (columns - known.mean(dim=0)) / torch.where(spread > 0, spread, 1.0)
