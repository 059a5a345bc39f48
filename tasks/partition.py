"""The division of a source into training, meta, validation and test samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import InputError, check_at_least, require

from .folder_set import FolderSet
from .image_set import ImageSet
from .sources import Source
from .splits import split

_ARGUMENTS = {
    "train": "subset",
    "test": "num_test",
    "meta": "num_meta",
    "validation": "num_validation",
    "balanced": "balanced_meta=False",
}

AnySet = ImageSet | FolderSet
AnySource = Source[ImageSet] | Source[FolderSet]


@dataclass(frozen=True)
class Part:
    """Some samples of one part of a source.

    Attributes:
        whole: the part of the source.
        index: the positions of the chosen samples in it.
    """

    whole: AnySet
    index: Int[Tensor, " chosen"]

    def samples(self) -> AnySet:
        """Return the chosen samples."""
        return self.whole.subset(self.index)

    def names(self) -> tuple[str, ...]:
        """Return their names, or their positions in the source, which do not depend on the seed."""
        ids, positions = self.whole.ids, self.index.tolist()
        return tuple(str(at) if ids is None else ids[at] for at in positions)


def divide(
    source: AnySource,
    *,
    num_train: int | None,
    num_meta: int,
    num_validation: int,
    num_test: int | None,
    meta_from: str = "train",
    balanced_meta: bool = True,
    stratified_test: bool = False,
    generator: torch.Generator,
) -> dict[str, Part]:
    """Choose the samples for "train" and "test", and for "meta" and "validation" if asked for.

    Args:
        source: the data set.
        num_train: number of training samples; ``None`` for all that are left.
        num_meta: number of meta samples; 0 for no meta set.
        num_validation: number of validation samples; 0 for no validation set.
        num_test: number of test samples, given if and only if the source has no test set.
        meta_from: the part of the source that meta and validation samples are taken out of:
            "train", "test" or "clean".
        balanced_meta: whether the meta set has equally many samples of every class.
        stratified_test: whether test samples out of the training samples keep the proportions of
            the classes.
        generator: a CPU generator.

    Raises:
        InputError: an argument is out of range, the source lacks the part that ``meta_from`` names,
            or there are not enough samples.
    """
    check_at_least("num_meta", num_meta, 0)
    check_at_least("num_validation", num_validation, 0)
    held_out = {
        name: size for name, size in (("meta", num_meta), ("validation", num_validation)) if size
    }
    wanted: dict[str, dict[str, int | None]] = {"train": {"train": num_train}}
    if source.test is not None:
        require(
            num_test is None, f"num_test: {source.train.name} has its own test set, got {num_test}"
        )
        wanted["test"] = {"test": None}
    else:
        require(
            num_test is not None,
            f"num_test: {source.train.name} has no test set, expected the size of one, got None",
        )
        wanted["train"] = {"test": num_test, "train": num_train}
    if held_out:
        wanted[meta_from] = {**held_out, **wanted.get(meta_from, {})}

    balanced = ["meta"] if balanced_meta else []
    proportional = ["test"] if stratified_test else []
    parts: dict[str, Part] = {}
    for origin, sizes in wanted.items():
        whole = _part_of(source, origin)
        whole_part = Part(whole, torch.arange(len(whole)))
        parts |= _choose(whole_part, sizes, balanced, proportional, generator)
    return parts


def sample_ids(parts: Mapping[str, Part]) -> dict[str, Tensor]:
    """Return ids of each part's samples; a sample has the same id in every part.

    Args:
        parts: the result of :func:`divide`.
    """
    origins: list[object] = []
    ids = {}
    for name, part in parts.items():
        origin = part.whole.origin
        place = next((i for i, known in enumerate(origins) if known is origin), len(origins))
        if place == len(origins):
            origins.append(origin)
        ids[name] = part.index + (place << 40)  # above any position
    return ids


def _part_of(source: AnySource, origin: str) -> AnySet:
    parts: dict[str, AnySet | None] = {
        "train": source.train,
        "test": source.test,
        "clean": source.clean,
    }
    part = parts[origin]
    if part is None:
        raise InputError(
            f"meta_from: expected {source.train.name} to have a {origin} part, got none"
        )
    return part


def _choose(
    among: Part,
    sizes: Mapping[str, int | None],
    balanced: list[str],
    proportional: list[str],
    generator: torch.Generator,
) -> dict[str, Part]:
    try:
        chosen = split(
            among.whole.targets[among.index],
            sizes,
            generator,
            balanced=[name for name in balanced if name in sizes],
            proportional=[name for name in proportional if sizes.get(name) is not None],
            arguments=_ARGUMENTS,
        )
    except InputError as error:
        raise InputError(f"{error}; of {among.whole.name}") from None
    return {name: Part(among.whole, among.index[index]) for name, index in chosen.items()}
