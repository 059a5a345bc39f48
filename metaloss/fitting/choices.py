"""What `metaloss fit` chooses, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from metaloss.checks import check_at_least, did_you_mean, require
from metaloss.fitting.facts import Facts
from metaloss.models.wrappers import torchvision_names

OURS = ("resnet8", "resnet20", "resnet32", "resnet34", "small_cnn", "mlp")
"""The networks of this package that ``--model`` names; any other is one of torchvision."""

_PRETRAINED_SIDE = 224
_SCRATCH_SIDE = 32
_LARGEST = 64  # a side that is kept as it is
_IN_MEMORY = 2 * 2**30  # bytes of decoded images
_MOST_HELD_OUT = 5000
_META_STEPS = 1000


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may choose. ``None`` leaves the choice to the data.

    They are the arguments of :func:`metaloss.fit` from ``model`` on, as it describes them.
    """

    model: str | None = None
    weights: str | None = None
    size: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    meta_every: int | None = None
    held_out: int | None = None
    flip: bool | None = None

    def __post_init__(self) -> None:
        """Check the numbers, and make those of NumPy Python's, as gin writes them."""
        for name in ("model", "weights"):
            value = getattr(self, name)
            require(
                value is None or isinstance(value, str),
                f"--{name}: expected a name, got a {type(value).__name__}",
            )
        least = {"size": 1, "epochs": 1, "batch_size": 2, "meta_every": 1, "held_out": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None:
                whole = check_at_least(f"--{name.replace('_', '-')}", value, low)
                object.__setattr__(self, name, whole)


class Decision(NamedTuple):
    """One choice, as it is said.

    Attributes:
        what: what was chosen, such as "image size".
        value: the value.
        why: the reason.
        option: the option that sets it.
    """

    what: str
    value: object
    why: str
    option: str


@dataclass(frozen=True, kw_only=True)
class Choices:
    """All settings of a run.

    Attributes:
        model: the network's name.
        weights: pretrained weights; ``None`` for random ones.
        size: height and width of images; ``None`` for samples that are no image files.
        channels: the channels of images.
        in_memory: whether images are decoded into memory.
        flip: whether images are flipped in training; ``None`` for samples that cannot be mirrored.
        epochs: passes over the training samples.
        batch_size: training samples in a batch.
        meta_batch_size: clean samples in a batch.
        meta_every: training steps from one meta step to the next; 0 without meta steps.
        held_out: training samples that are held out for the figures; ``None`` with a test set.
        clean: the number of clean samples.
        said: these in words.
    """

    model: str
    weights: str | None
    size: int | None
    channels: int
    in_memory: bool
    flip: bool | None
    epochs: int
    batch_size: int
    meta_batch_size: int
    meta_every: int
    held_out: int | None
    clean: int
    said: tuple[Decision, ...] = ()


def choose(facts: Facts, options: Options) -> Choices:
    """Choose what the user left open.

    Raises:
        InputError: a choice does not fit the data, or there are too few samples.

    Example:
        >>> from metaloss.fitting.choices import Options, choose
        >>> from metaloss.fitting.facts import Facts
        >>> photos = Facts(samples=1000, classes=6, clean=60, has_test=False, files=True)
        >>> made = choose(photos, Options(epochs=5))
        >>> made.model, made.size, made.batch_size, made.epochs
        ('small_cnn', 32, 32, 5)
    """
    _check_fit(facts, options)
    held_out = None
    if not facts.has_test:
        held_out = _held_out(facts) if options.held_out is None else options.held_out
    train = _training_samples(facts, held_out)
    model = options.model or _model(facts, options)
    pretrained = options.weights is not None
    size = (options.size or _size(facts, pretrained=pretrained)) if facts.files else None
    batch = options.batch_size or _batch_size(train)
    require(batch <= train, f"--batch-size: expected at most {train} training samples, got {batch}")
    epochs = options.epochs or _epochs(train // batch, pretrained=pretrained)
    steps = epochs * (train // batch)
    require(
        options.meta_every is None or facts.clean > 0,
        "--meta-every: expected checked labels beside it (--clean), for without them no meta steps "
        "are made",
    )
    meta_every = (options.meta_every or _meta_every(steps)) if facts.clean else 0
    flip = None
    if facts.augmented:
        flip = not facts.grey if options.flip is None else options.flip
    colour = pretrained or not facts.grey or model not in OURS
    channels = (3 if colour else 1) if facts.files else (facts.shape[0] if facts.images else 0)
    in_memory = size is None or facts.samples * channels * size**2 <= _IN_MEMORY
    if not in_memory:
        channels = 3  # as image files are read when they are needed
    made = Choices(
        model=model,
        weights=options.weights,
        size=size,
        channels=channels,
        in_memory=in_memory,
        flip=flip,
        epochs=epochs,
        batch_size=batch,
        meta_batch_size=min(facts.clean, 100),
        meta_every=meta_every,
        held_out=held_out,
        clean=facts.clean,
    )
    return replace(made, said=tuple(_said(facts, options, made, steps)))


def _said(facts: Facts, options: Options, made: Choices, steps: int) -> Iterator[Decision]:
    pretrained = options.weights is not None
    if facts.clean:
        yield Decision("loss", "SL", "adjusted by the checked labels", "--clean")
    else:
        yield Decision("loss", "GCE", "adjusted as was learned elsewhere", "--clean")
    reasons = {
        "held_out": (
            "held-out samples",
            "for the figures: their labels are unchecked, too"
            if made.held_out
            else "too few samples: the figures are those of the training samples",
        ),
        "model": (
            "network",
            "the usual one to train on" if pretrained else "small: quick on a CPU",
        ),
        "size": (
            "image size",
            "the size of the images"
            if made.size == facts.one_size
            else "what the weights were learned at"
            if pretrained
            else "small: quick on a CPU",
        ),
        "flip": (
            "mirrored images",
            "usual for photos" if made.flip else "grey images may be letters or digits",
        ),
        "batch_size": ("batch size", "by the number of samples"),
        "epochs": ("epochs", f"{steps:,} training steps"),
        "meta_every": (
            "a meta step every",
            f"{-(-steps // made.meta_every)} meta steps" if made.meta_every else "",
        ),
    }
    for name, (what, why) in reasons.items():
        value = getattr(made, name)
        if value is None or (name == "meta_every" and not value):
            continue
        option = f"--{name.replace('_', '-')}"
        given = getattr(options, name) is not None
        shown = value if name != "flip" else "yes" if value else "no"
        yield Decision(what, shown, "as you said" if given else why, option)


def _check_fit(facts: Facts, options: Options) -> None:
    if options.model is not None and options.model not in OURS:
        names = torchvision_names()
        require(
            options.model in names,
            f"--model: expected {', '.join(OURS)} or a classifier of torchvision, got "
            f"{options.model!r}{did_you_mean(options.model, [*OURS, *names], most=3)}",
        )
    require(
        facts.files or options.size is None,
        f"--size: expected none for samples that are no image files, got {options.size}",
    )
    require(
        facts.augmented or options.flip is None,
        "--flip: expected uint8 images or image files to mirror, got "
        + ("floating-point images" if facts.images else "rows of numbers"),
    )
    require(
        options.held_out is None or not facts.has_test,
        f"--held-out: expected none, since there are test samples, got {options.held_out}",
    )
    require(
        options.weights is None or (facts.images and options.model not in OURS),
        f"--weights: expected images and a classifier of torchvision to load them to, got "
        f"{options.model if facts.images else 'rows of numbers'}",
    )


def _training_samples(facts: Facts, held_out: int | None) -> int:
    left = facts.samples - (held_out or 0)
    least = 2 * facts.classes
    require(
        left >= least,
        f"expected at least {least} samples to train on, two for each of {facts.classes} classes, "
        f"got {facts.samples}"
        + (f", {held_out} of which are held out (--held-out)" if held_out else ""),
    )
    return left


def _held_out(facts: Facts) -> int:
    """Return a tenth, but 100 where that is less than a fifth; and two samples a class are left."""
    usual = min(max(100, facts.samples // 10), max(1, facts.samples // 5), _MOST_HELD_OUT)
    return max(0, min(usual, facts.samples - 2 * facts.classes))


def _model(facts: Facts, options: Options) -> str:
    if options.weights is not None:
        return "resnet18"
    return "small_cnn" if facts.images else "mlp"


def _size(facts: Facts, *, pretrained: bool) -> int:
    if pretrained:
        return _PRETRAINED_SIDE
    if facts.one_size is not None and facts.one_size <= _LARGEST:
        return facts.one_size
    return _SCRATCH_SIDE


def _batch_size(train: int) -> int:
    """Return the size of batches: small where there are few samples, so that there are steps."""
    if train < 64:
        return max(2, train // 4)
    return 32 if train < 2000 else 50 if train < 5000 else 100


def _epochs(per_epoch: int, *, pretrained: bool) -> int:
    steps, low, high = (600, 5, 30) if pretrained else (2000, 20, 100)
    return min(max(round(steps / per_epoch), low), high)


def _meta_every(steps: int) -> int:
    """Return a step such that there are about a thousand meta steps or more."""
    return min(max(steps // _META_STEPS, 1), 5)
