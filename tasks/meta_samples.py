"""Where the meta samples of a task come from, and whether somebody checked their targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import InputError, check_at_least, check_one_of, require
from metaloss.seeding import generator

CLEAN = ("train", "test", "clean")
NOISY = ("noisy", "shared")


@dataclass(frozen=True)
class MetaSamples:
    """The origin and the number of a task's meta samples.

    Args:
        origin: "train", "test" or "clean": the part of the source that they are taken out of; they
            keep their targets. "noisy": taken out of the training samples, with noise like theirs.
            "shared": training samples, which are trained on too.
        number: how many; ``None``, for "shared" alone, means all training samples; a fraction in
            (0, 1), for "noisy" alone, means that part of the training samples.
        allowed: the origins that the task has.
        seed: the seed that "shared" samples are chosen by.

    Raises:
        InputError: an unknown origin, a negative number, or no number for another origin.

    Example:
        >>> from metaloss.tasks import classification_task, digits
        >>> task = classification_task(data=digits, meta_from="shared", num_test=360)
        >>> task.meta_samples.origin, task.meta_samples.number
        ('shared', 1000)
    """

    origin: str = "train"
    number: float | None = 0
    allowed: tuple[str, ...] = CLEAN + NOISY
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_one_of("meta_from", self.origin, self.allowed)
        if isinstance(self.number, float):
            require(
                self.origin == "noisy" and 0 < self.number < 1,
                "num_meta: expected a whole number, or for meta_from='noisy' a fraction in (0, 1), "
                f"got {self.number}",
            )
        elif self.number is not None:
            check_at_least("num_meta", self.number, 0)
        elif self.origin != "shared":
            raise InputError(
                f"num_meta: expected a number, got None for meta_from={self.origin!r} (gin: "
                "tasks.classification_task.num_meta = 300); None means "
                "all training samples, for meta_from='shared'"
            )

    def counted(
        self, samples: int, others: Iterable[int | None], subset: int | None
    ) -> tuple[MetaSamples, int | None]:
        """Turn a fraction into a number.

        Args:
            samples: the training samples of the source.
            others: how many of them other parts of the task take.
            subset: how many of the rest the task has; ``None`` for all.

        Returns:
            These meta samples with their number, and the subset that is left to train on.
        """
        if not isinstance(self.number, float):
            return self, subset
        mine = samples - sum(other or 0 for other in others) if subset is None else subset
        number = round(self.number * mine)
        return replace(self, number=number), None if subset is None else subset - number

    @property
    def held_out(self) -> int:
        """The number of samples that are taken out of a part of the source."""
        return 0 if self.origin == "shared" else int(self.number or 0)

    @property
    def taken_from(self) -> str:
        """The part of the source that meta and validation samples are taken out of."""
        return self.origin if self.origin in CLEAN else "train"

    @property
    def corrupted(self) -> tuple[str, ...]:
        """The parts of the task that noise is added to."""
        return ("train", "meta") if self.origin == "noisy" and self.held_out else ("train",)

    def shared(self, samples: int) -> Int[Tensor, " chosen"] | None:
        """Choose the meta samples among the training samples.

        Args:
            samples: the number of training samples.

        Returns:
            Their positions, ascending; ``None`` unless the origin is "shared".

        Raises:
            InputError: there are fewer training samples than asked for.
        """
        if self.origin != "shared" or self.number == 0:
            return None
        number = samples if self.number is None else int(self.number)
        require(
            number <= samples,
            f"num_meta: expected at most the {samples} training samples, got {number}",
        )
        order = torch.randperm(samples, generator=generator(self.seed, "meta samples"))
        return order[:number].sort().values

    def checked(self, source_checked: bool, corrupted: bool) -> bool:
        """Return whether the targets of the meta samples are known to be right.

        Args:
            source_checked: whether those of the source's training samples are, before noise.
            corrupted: whether noise is added to the training samples.
        """
        if self.origin in {"test", "clean"}:
            return True
        return source_checked and not (corrupted and self.origin in NOISY)
