"""Labels before and after noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import InputError, check_labels, require, seen
from metaloss.files import user_path

from .tensor_files import load_tensors, save_tensors, sha256


@dataclass(frozen=True)
class NoisyLabels:
    """Labels before and after noise, and the transition matrix between them.

    Attributes:
        labels: the labels after noise, which are trained on, ``[samples]``, int64.
        original: the labels before noise, ``[samples]``, int64.
        transition: ``[classes, classes]``, float64. Row ``i`` is the distribution of the noisy
            label of a sample of class ``i``; for noise that depends on the input, and for labels
            that people gave, the observed one (:meth:`of_labels`).

    Raises:
        InputError: a shape or a dtype is not as above, a label is out of range, or a row is not a
            distribution.

    Example:
        >>> import torch
        >>> from metaloss.tasks import NoisyLabels
        >>> half = torch.full((2, 2), 0.5, dtype=torch.float64)
        >>> noisy = NoisyLabels(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), half)
        >>> noisy.flipped
        tensor([False,  True, False])
    """

    labels: Int[Tensor, " samples"]
    original: Int[Tensor, " samples"]
    transition: Float[Tensor, "classes classes"]

    kind: ClassVar[str] = "metaloss noisy labels, version 1"

    def __post_init__(self) -> None:
        """Check the three tensors."""
        check_transition(self.transition)
        check_labels("labels", self.labels, self.num_classes)
        check_labels("original", self.original, self.num_classes)
        require(
            self.labels.shape == self.original.shape,
            f"labels and original: expected one length, got {self.labels.shape[0]} and "
            f"{self.original.shape[0]}",
        )

    @classmethod
    def of_labels(
        cls, labels: Int[Tensor, " samples"], original: Int[Tensor, " samples"], num_classes: int
    ) -> NoisyLabels:
        """Return labels whose noise is known by its result alone, such as human errors.

        Args:
            labels: the labels after noise, ``[samples]``, int64.
            original: the labels before noise, ``[samples]``, int64.
            num_classes: number of classes, at least 2.

        Returns:
            The labels, with the observed transition matrix: the fraction of samples of each class
            that have each noisy label. The row of a class that does not occur is that of the
            identity.

        Raises:
            InputError: a label is out of range, or the labels differ in number.

        Example:
            >>> import torch
            >>> from metaloss.tasks import NoisyLabels
            >>> given, right = torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 1, 1])
            >>> NoisyLabels.of_labels(given, right, 2).transition
            tensor([[0.5000, 0.5000],
                    [0.0000, 1.0000]], dtype=torch.float64)
        """
        identity = torch.eye(num_classes, dtype=torch.float64)
        cls(labels, original, identity)  # checks the labels, which are counted next
        counts = torch.bincount(original * num_classes + labels, minlength=num_classes**2)
        counts = counts.view(num_classes, num_classes).double()
        counts += identity * (counts.sum(1) == 0)
        return cls(labels, original, counts / counts.sum(1, keepdim=True))

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.transition.shape[0]

    @property
    def targets(self) -> Int[Tensor, " samples"]:
        """The labels after noise, by the name that :class:`NoisyValues` uses too."""
        return self.labels

    @property
    def flipped(self) -> Bool[Tensor, " samples"]:
        """Which labels differ from the original ones."""
        return self.labels != self.original

    @property
    def rate(self) -> float:
        """The fraction of labels that differ from the original ones."""
        return float(self.flipped.double().mean())

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, over the original labels and then the noisy ones.

        Both are taken as little-endian int64, so that anyone can compute it from the labels.
        """
        return sha256(self.original, self.labels)

    def select(self, index: Int[Tensor, " chosen"]) -> NoisyLabels:
        """Return the labels of some of the samples, in the order given.

        Args:
            index: their positions, int64.
        """
        return NoisyLabels(self.labels[index], self.original[index], self.transition)

    def save(self, path: str | Path) -> None:
        """Write the labels to a safetensors file, atomically.

        Args:
            path: the file. Missing folders are created, and an older file is replaced.

        Example:
            >>> import tempfile, torch
            >>> from metaloss.tasks import NoisyLabels, noise
            >>> noisy = noise.symmetric(torch.arange(4), 0.5, 4, torch.Generator().manual_seed(0))
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     noisy.save(f"{folder}/labels.safetensors")
            ...     NoisyLabels.load(f"{folder}/labels.safetensors").digest == noisy.digest
            True
        """
        tensors = {
            "labels": self.labels,
            "original": self.original,
            "transition": self.transition,
        }
        save_tensors(
            user_path(path),
            self.kind,
            # Copies: the format refuses tensors that share memory or are not contiguous.
            {
                name: tensor.clone(memory_format=torch.contiguous_format)
                for name, tensor in tensors.items()
            },
            {"digest": self.digest, "transition": sha256(self.transition)},
        )

    @classmethod
    def load(cls, path: str | Path, targets: Int[Tensor, " samples"] | None = None) -> NoisyLabels:
        """Read labels that :meth:`save` wrote.

        Args:
            path: the file.
            targets: if given, the original labels that the file must have.

        Raises:
            InputError: the file does not exist, is damaged or of another format, or was made from
                other labels.
        """
        path = user_path(path)
        tensors, metadata = load_tensors(path, cls.kind)
        require(
            set(tensors) == {"labels", "original", "transition"},
            f"{path}: expected labels, original and transition, got {', '.join(sorted(tensors))}",
        )
        try:
            noisy = cls(**tensors)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        require(
            metadata.get("digest") == noisy.digest
            and metadata.get("transition") == sha256(noisy.transition),
            f"{path}: expected content that matches the file's own digest, got other content",
        )
        if targets is not None:
            noisy.check_made_from(targets, str(path))
        return noisy

    def check_made_from(self, targets: Int[Tensor, " samples"], name: str) -> None:
        """Raise :class:`InputError` unless the original labels are these.

        Args:
            targets: the original labels that are expected.
            name: the name of the noisy labels in the message.
        """
        require(
            self.original.shape == targets.shape,
            f"{name}: expected noisy labels for {targets.shape[0]} samples, "
            f"got {self.original.shape[0]}",
        )
        different = int((self.original != targets.cpu()).sum())
        require(
            different == 0,
            f"{name}: expected noisy labels made from these {targets.shape[0]} labels, "
            f"got others at {different} of them",
        )


def check_transition(matrix: Float[Tensor, "classes classes"]) -> None:
    """Raise :class:`InputError` unless every row of a square float64 matrix is a distribution."""
    require(
        isinstance(matrix, Tensor)
        and matrix.dtype == torch.float64
        and matrix.ndim == 2
        and matrix.shape[0] == matrix.shape[1],
        f"transition: expected a square float64 matrix, got {seen(matrix)}",
    )
    require(matrix.shape[0] >= 2, f"transition: expected two classes or more, got {len(matrix)}")
    least = float(matrix.min())
    require(least >= 0, f"transition: expected probabilities, got {least:g}")  # NaN fails as well
    error, row = (matrix.sum(1) - 1).abs().max(0)
    require(
        float(error) < 1e-6,
        f"transition: expected rows that sum to 1, got {float(matrix[row].sum()):g} "
        f"in row {int(row)}",
    )
