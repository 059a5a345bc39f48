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
from .described import described
from .make_noise import Noisy, joined, load_noise, make_noise, with_noise
from .meta_samples import MetaSamples
from .noisy_labels import NoisyLabels
from .partition import AnySource, Part, divide, sample_ids
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
    num_meta: float | None = 1000,
    num_validation: int = 0,
    num_test: int | None = None,
    subset: int | None = None,
    meta_from: str = "train",
    balanced_meta: bool = True,
    stratified_test: bool = False,
    allow_overlap: bool = False,
    batch_size: int = 100,
    meta_batch_size: int = 100,
    eval_batch_size: int = 1000,
    augment: TransformFactory | None = None,
    augment_meta: bool = True,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    standardise: bool = False,
    name: str | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Task:
    """Build a classification task: split the data, add label noise and make the loaders.

    Validation and test samples keep their labels, and so do meta samples unless ``meta_from`` says
    otherwise. The parts are disjoint, except with ``meta_from="shared"``. The split, the noise, the
    order of the samples and the augmentation have random streams of their own, all derived from
    ``seed``.

    Args:
        data: a source, or a function that returns one.
        noise: a function of :mod:`metaloss.tasks.noise` with its own arguments, such as ``rate``,
            already bound. It is called with ``targets``, ``num_classes`` and ``generator``, and
            with ``inputs`` if it takes them. By default, no noise is added, and the task has the
            source's own noisy labels if there are any.
        noise_file: saved noisy labels, in place of ``noise``. They are for all training samples of
            the source, or for those of exactly this split.
        num_meta: samples in the meta set; 0 for no meta set; ``None``, with
            ``meta_from="shared"``, for all training samples; or, with ``meta_from="noisy"``, a
            fraction of the training samples, in (0, 1).
        num_validation: clean samples in the validation set; 0 for no validation set.
        num_test: samples in the test set, taken out of the training samples. It is given if and
            only if the source has no test set. :class:`Source` says which labels are checked.
        subset: training samples; by default, all samples that are left.
        meta_from: the origin of the meta samples. "train", "test" and "clean" take samples with
            their own labels out of the source's training, test or verified samples; validation
            samples come from there too. "noisy" takes them out of the training samples and adds
            noise to them as well. "shared" means training samples, which are trained on too. The
            last two need a symmetric meta loss (:mod:`metaloss.meta_losses`) and no clean label.
        balanced_meta: whether a meta set of samples with their own labels has equally many samples
            of every class.
        stratified_test: whether the ``num_test`` test samples keep the proportions of the classes.
        allow_overlap: whether a sample of the source may be in several parts of the source.
        batch_size: training samples in a batch. A last batch that is not full is dropped.
        meta_batch_size: meta samples in a batch, likewise.
        eval_batch_size: validation or test samples in a batch.
        augment: makes the training transform of uint8 images, called with ``mean`` and ``std``. By
            default, images are normalised and not augmented. Image files have their own transforms.
        augment_meta: whether the meta samples go through the training transform too.
        mean: the mean of each channel of uint8 images, with pixels in [0, 1]; by default, that of
            the training samples.
        std: the standard deviation of each channel, likewise.
        standardise: whether each column of floating-point inputs is scaled by the mean and the
            standard deviation of the training samples.
        name: the task's name in the records; by default, that of the training samples.
        seed: the seed of the run.
        device: the device of data in memory and of the batches.

    Returns:
        The task.

    Raises:
        InputError: an argument is out of range or conflicts with another, there are not enough
            samples, the meta set has one class only, sets share samples, the noisy labels were made
            from other labels, or noise is to be added to a source that has noisy labels.

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
    require(
        source.noisy is None or (noise is None and noise_file is None),
        f"noise and noise_file: expected neither, since {source.train.name} has noisy labels of "
        "its own",
    )
    check_at_least("eval_batch_size", eval_batch_size, 1)
    meta = MetaSamples(meta_from, num_meta, seed=seed)
    meta, subset = meta.counted(len(source.train), (num_validation, num_test), subset)
    parts = divide(
        source,
        num_train=subset,
        num_meta=meta.held_out,
        num_validation=num_validation,
        num_test=num_test,
        meta_from=meta.taken_from,
        balanced_meta=balanced_meta and meta.taken_from == meta_from,
        stratified_test=stratified_test,
        generator=generator(seed, "split"),
    )
    check_disjoint(sample_ids(parts), allow_overlap)
    sets = {part: chosen.samples() for part, chosen in parts.items()}
    noisy: Noisy | None = None
    if noise is not None:
        targets, inputs = joined(sets, meta.corrupted)
        classes, draws = len(source.train.class_names), generator(seed, "noise")
        noisy = make_noise(noise, targets, classes, draws, inputs)
    elif noise_file is not None or source.noisy is not None:
        index = torch.cat([parts[part].index for part in meta.corrupted])
        if source.noisy is not None:
            noisy = source.noisy.select(index)
        elif noise_file is not None:
            noisy = load_noise(user_path(noise_file), Part(source.train, index))
    if noisy is not None:
        sets, noisy = with_noise(sets, meta.corrupted, noisy)
    chosen = meta.shared(len(sets["train"]))
    if chosen is not None:
        sets["meta"] = sets["train"].subset(chosen)
    if "meta" in sets:
        check_classes("num_meta", sets["meta"].targets)
        check_batch_size("meta_batch_size", meta_batch_size, len(sets["meta"]))
    transforms = transforms_for(sets["train"], augment, mean, std, standardise=standardise)
    loaders = loaders_of(
        sets,
        transforms,
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
        train_ids=parts["train"].names(),
        held_out_ids=parts["test"].names() if source.test is None else None,
        noise=noisy,
        test_checked=source.test_checked if source.test is not None else source.labels_checked,
        meta_samples=meta,
        meta_checked=meta.checked(source.labels_checked, corrupted=noisy is not None),
        inputs=described(sets["train"], transforms),
        shared=chosen,
    )
