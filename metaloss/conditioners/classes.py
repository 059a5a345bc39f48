"""The label, and groups of labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import InputError, check_at_least, require
from metaloss.conditioners.base import Conditioner
from metaloss.losses.numerics import full_precision


class ClassOneHot(Conditioner):
    """The label, one-hot.

    Args:
        num_classes: number of classes.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import ClassOneHot
        >>> ClassOneHot(3)(torch.zeros(1, 3), torch.tensor([2]))
        tensor([[0., 0., 1.]])
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = self.num_features = check_at_least("num_classes", num_classes, 2)

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch classes"]:
        """Return the one-hot labels."""
        _check_classes(self, outputs, self.num_classes)
        return one_hot(targets, self.num_features).to(full_precision(outputs).dtype)


class ClassGroup(Conditioner):
    """The label's group, one-hot; classes of similar size form a group, as in CMW-Net.

    Args:
        num_groups: number of groups.
        groups: the group of each class, in ``0 .. num_groups - 1``. If not given, ``prepare``
            clusters the classes by their number of training samples with scikit-learn's KMeans;
            group 0 has the rarest classes.

    Raises:
        InputError: a group is out of range; or, in ``prepare``, there are fewer distinct class
            sizes than groups.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import ClassGroup
        >>> conditioner = ClassGroup(num_groups=2, groups=(0, 0, 1))
        >>> conditioner(torch.zeros(1, 3), torch.tensor([2]))
        tensor([[0., 1.]])

    References:
        Shu et al., CMW-Net: learning a class-aware sample weighting mapping for robust deep
        learning, 2022.
    """

    sized_by_data = ("class_groups",)
    class_groups: Tensor

    def __init__(self, num_groups: int = 3, groups: Sequence[int] | None = None) -> None:
        super().__init__()
        self.num_groups = self.num_features = check_at_least("num_groups", num_groups, 1)
        self.groups = None if groups is None else tuple(groups)
        require(
            all(0 <= g < num_groups for g in self.groups or ()),
            f"groups: expected one of 0..{num_groups - 1} for each class, got {groups}",
        )
        self.register_buffer("class_groups", torch.tensor(self.groups or (), dtype=torch.int64))

    def prepare(self, targets: Int[Tensor, " samples"], num_classes: int | None) -> None:
        """Group the classes by size, unless the groups were given."""
        if num_classes is None:
            raise InputError("ClassGroup: expected a task with classes to group, got a regression")
        if self.groups is not None:
            require(
                len(self.groups) == num_classes,
                f"groups: expected one for each of {num_classes} classes, got {len(self.groups)}",
            )
            return
        counted = targets[(targets >= 0) & (targets < num_classes)]  # others are ignored
        sizes = torch.bincount(counted.cpu(), minlength=num_classes)
        self.class_groups = group_by_size(sizes, self.num_groups).to(self.class_groups.device)

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch groups"]:
        """Return the one-hot groups."""
        require(
            len(self.class_groups) > 0,
            "ClassGroup: the classes have no groups yet; give groups=..., or call "
            "prepare(targets, num_classes) with the training labels",
        )
        _check_classes(self, outputs, len(self.class_groups))
        groups = self.class_groups[targets]
        return one_hot(groups, self.num_features).to(full_precision(outputs).dtype)


def _check_classes(conditioner: Conditioner, outputs: Tensor, expected: int) -> None:
    if outputs.shape[1] != expected:  # formats the message only then
        raise InputError(
            f"{type(conditioner).__name__}: expected outputs of {expected} classes, "
            f"got {outputs.shape[1]}"
        )


def one_hot(columns: Int[Tensor, " batch"], count: int) -> Bool[Tensor, "batch {count}"]:
    """Return one-hot rows. Unlike torch's function, it does not synchronize and can be vmapped."""
    return columns.unsqueeze(1) == torch.arange(count, device=columns.device)


def group_by_size(sizes: Int[Tensor, " classes"], num_groups: int) -> Int[Tensor, " classes"]:
    """Clusters classes by their number of samples with KMeans; group 0 has the rarest classes.

    Args:
        sizes: number of samples of each class, ``[classes]``.
        num_groups: number of groups.

    Returns:
        The group of each class, ``[classes]``.

    Raises:
        InputError: there are fewer distinct sizes than groups.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import group_by_size
        >>> group_by_size(torch.tensor([500, 10, 490, 12]), 2)
        tensor([1, 0, 1, 0])
    """
    from sklearn.cluster import KMeans

    distinct = len(set(sizes.tolist()))
    require(
        distinct >= num_groups,
        f"class groups: expected at least {num_groups} different class sizes, got {distinct}; "
        "give the groups, or ask for fewer",
    )
    found = KMeans(num_groups, n_init=10, random_state=0).fit(sizes.double().numpy()[:, None])
    order = torch.from_numpy(found.cluster_centers_[:, 0].argsort().argsort())
    return order[torch.from_numpy(found.labels_).long()]
