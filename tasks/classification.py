"""Classification tasks with noisy labels: which samples, which labels, which batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from metaloss.arguments import checked
from metaloss.checks import check_at_least, require
from metaloss.files import user_path
from metaloss.seeding import derive, generator
from metaloss.types import Loader

from .batch_plan import check_batch_size
from .image_set import ImageSet
from .make_noise import load_noise, make_noise
from .noisy_labels import NoisyLabels
from .partition import AnySource, divide, sample_ids
from .set_loaders import TransformFactory, loader_of, transforms_for
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
    """Build a task: split the data, put noise on the training labels, and make the loaders.

    Meta, validation and test samples are disjoint from the training samples and from one another,
    and keep their labels. The split, the noise, the order of the batches and the augmentation draw
    from streams of their own, all derived from ``seed``.

    Args:
        data: a source, or a function that gives one.
        noise: a function of :mod:`metaloss.tasks.noise` with its own arguments, such as ``rate``,
            already bound. It is called with ``targets``, ``num_classes`` and ``generator``, and
            with ``inputs`` if it takes them.
        noise_file: noisy labels that were saved before, in place of ``noise``: for all training
            samples of the source, or for those of this very split.
        num_meta: clean samples for the meta set; 0 for none.
        num_validation: clean samples for the validation set; 0 for none.
        num_test: samples to take out of the training samples for the test set, where the source has
            none, and only there. See :class:`Source` for whose labels are checked.
        subset: train on so many of the samples left; on all if not given.
        meta_from: where meta and validation samples come from: "train", out of the training
            samples; "test", out of the test samples; "clean", from the source's verified samples;
            "shared", from the training samples, which go on being trained on, and which needs
            ``allow_overlap``.
        balanced_meta: whether the meta set holds every class equally often.
        allow_overlap: permit sets that share samples.
        batch_size: training samples in a batch; a last batch that is not full is left out.
        meta_batch_size: meta samples in a batch, likewise.
        eval_batch_size: validation or test samples in a batch.
        augment: makes the training transform of uint8 images, called with ``mean=`` and ``std=``;
            they are only normalised if not given. Image files bring their own transforms.
        augment_meta: whether the meta samples go through the training transform too.
        mean: of each channel of uint8 images, pixels in [0, 1]; of the training samples if not
            given.
        std: likewise.
        name: what the records call the task; the name of the training samples if not given.
        seed: of the run.
        device: where data in memory is held and batches go.

    Returns:
        The task.

    Raises:
        InputError: an argument is out of range or does not go with the others, there are not enough
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
    noisy: NoisyLabels | None = None
    if noise is not None:
        train = sets["train"]
        inputs = train.images if isinstance(train, ImageSet) else None
        classes, draws = len(train.class_names), generator(seed, "noise")
        noisy = make_noise(noise, train.targets, classes, draws, inputs)
    elif noise_file is not None:
        noisy = load_noise(user_path(noise_file), parts["train"])
    if noisy is not None:
        sets["train"] = sets["train"].with_targets(noisy.labels)
    transforms = transforms_for(sets["train"], augment, mean, std)

    def to_learn(part: str, size: int, augmented: bool) -> Loader:
        return loader_of(
            sets[part],
            size,
            transforms,
            augmented=augmented,
            training=True,
            seed=derive(seed, part),
            device=device,
        )

    def to_evaluate(part: str) -> Loader:
        size = min(eval_batch_size, len(sets[part]))
        return loader_of(
            sets[part],
            size,
            transforms,
            augmented=False,
            training=False,
            seed=seed,
            device=device,
        )

    return Task(
        name=name or source.train.name,
        class_names=source.train.class_names,
        sample_shape=source.train.sample_shape,
        train=to_learn("train", batch_size, True),
        meta=to_learn("meta", meta_batch_size, augment_meta) if "meta" in sets else None,
        validation=to_evaluate("validation") if "validation" in sets else None,
        test=to_evaluate("test"),
        train_targets=sets["train"].targets,
        noise=noisy,
        test_checked=source.test is not None or source.labels_checked,
    )
