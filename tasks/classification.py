"""Classification tasks with noisy labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from metaloss.arguments import checked
from metaloss.checks import check_at_least, require
from metaloss.files import user_path
from metaloss.seeding import generator

from .batch_plan import check_batch_size
from .image_set import ImageSet
from .make_noise import Noisy, load_noise, make_noise
from .noisy_labels import NoisyLabels
from .partition import AnySource, divide, sample_ids
from .set_loaders import TransformFactory, loaders_of, transforms_for
from .sources import Source
from .splits import check_classes, check_disjoint
from .task import Task
from .transforms import Transform


def classification_task(
    *,
    data: AnySource | Callable[[], AnySource],
    noise: Callable[..., NoisyLabels] | None = None,
    noise_file: str | Path | None = None,
    num_meta: int = 1000,
    num_validation: int = 0,
    num_test: int | None = None,
    subset: int | None = None,
    meta_from: str = "train",
    balanced_meta: bool = True,
    allow_overlap: bool = False,
    batch_size: int = 100,
    meta_batch_size: int = 100,
    eval_batch_size: int = 1000,
    augment: TransformFactory | None = None,
    augment_meta: bool = True,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Task:
    """Build a classification task: split the data, add label noise and make the loaders.

    Meta, validation and test samples keep their labels. They are disjoint from the training samples
    and from one another. The split, the noise, the order of the samples and the augmentation have
    random streams of their own, all derived from ``seed``.

    Args:
        data: a source, or a function that returns one.
        noise: a function of :mod:`metaloss.tasks.noise` with its own arguments, such as ``rate``,
            already bound. It is called with ``targets``, ``num_classes`` and ``generator``, and
            with ``inputs`` if it takes them.
        noise_file: saved noisy labels, in place of ``noise``. They are for all training samples of
            the source, or for those of exactly this split.
        num_meta: clean samples in the meta set; 0 for no meta set.
        num_validation: clean samples in the validation set; 0 for no validation set.
        num_test: samples in the test set, taken out of the training samples. It is given if and
            only if the source has no test set. :class:`Source` says which labels are checked.
        subset: training samples; by default, all samples that are left.
        meta_from: the origin of the meta and validation samples. "train" takes them out of the
            training samples, "test" out of the test samples, and "clean" out of the source's
            verified samples. "shared" also trains on them, and requires ``allow_overlap``.
        balanced_meta: whether the meta set has equally many samples of every class.
        allow_overlap: whether sets may share samples.
        batch_size: training samples in a batch. A last batch that is not full is dropped.
        meta_batch_size: meta samples in a batch, likewise.
        eval_batch_size: validation or test samples in a batch.
        augment: makes the training transform of uint8 images, called with ``mean`` and ``std``. By
            default, images are normalised and not augmented. Image files have their own transforms.
        augment_meta: whether the meta samples go through the training transform too.
        mean: the mean of each channel of uint8 images, with pixels in [0, 1]; by default, that of
            the training samples.
        std: the standard deviation of each channel, likewise.
        name: the task's name in the records; by default, that of the training samples.
        seed: the seed of the run.
        device: the device of data in memory and of the batches.

    Returns:
        The task.

    Raises:
        InputError: an argument is out of range or conflicts with another, there are not enough
            samples, the meta set has one class only, sets share samples, or the noisy labels were
            made from other labels.

    Example:
        >>> from functools import partial
        >>> from metaloss.tasks import classification_task, digits, noise
        >>> task = classification_task(
        ...     data=digits, noise=partial(noise.symmetric, rate=0.4), num_meta=100, num_test=360
        ... )
        >>> 0.35 < task.noise.rate < 0.45
        True

    References:
        Section 4.1 of the paper.
    """
    checked("data", data, Source | Callable[..., AnySource])
    checked("augment", augment, Callable[..., Transform] | None)
    checked("noise", noise, Callable[..., NoisyLabels] | None)
    source: AnySource = checked("data", data() if callable(data) else data, Source)
    require(
        noise is None or noise_file is None,
        "noise and noise_file: expected one of them at most, got both",
    )
    check_at_least("eval_batch_size", eval_batch_size, 1)
    parts = divide(
        source,
        num_train=subset,
        num_meta=num_meta,
        num_validation=num_validation,
        num_test=num_test,
        meta_from=meta_from,
        balanced_meta=balanced_meta,
        generator=generator(seed, "split"),
    )
    check_disjoint(sample_ids(parts), allow_overlap)
    sets = {part: chosen.samples() for part, chosen in parts.items()}
    if "meta" in sets:
        check_classes("num_meta", sets["meta"].targets)
        check_batch_size("meta_batch_size", meta_batch_size, len(sets["meta"]))
    noisy: Noisy | None = None
    if noise is not None:
        train = sets["train"]
        inputs = train.images if isinstance(train, ImageSet) else None
        classes, draws = len(train.class_names), generator(seed, "noise")
        noisy = make_noise(noise, train.targets, classes, draws, inputs)
    elif noise_file is not None:
        noisy = load_noise(user_path(noise_file), parts["train"])
    if noisy is not None:
        sets["train"] = sets["train"].with_targets(noisy.targets)
    loaders = loaders_of(
        sets,
        transforms_for(sets["train"], augment, mean, std),
        batch_size=batch_size,
        meta_batch_size=meta_batch_size,
        eval_batch_size=eval_batch_size,
        augment_meta=augment_meta,
        seed=seed,
        device=device,
    )
    return Task(
        name=name or source.train.name,
        class_names=source.train.class_names,
        sample_shape=source.train.sample_shape,
        train=loaders["train"],
        meta=loaders.get("meta"),
        validation=loaders.get("validation"),
        test=loaders["test"],
        train_targets=sets["train"].targets,
        noise=noisy,
        test_checked=source.test is not None or source.labels_checked,
    )
