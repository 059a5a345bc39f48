"""Arrays in NumPy's files, read batch by batch: for more samples than fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metaloss.checks import check_finite, require
from metaloss.files import user_path
from metaloss.user_errors import as_input_error

from .image_set import ImageSet
from .mapped import MappedSamples, chunks
from .own_arrays import channels_first
from .sources import Source

Files = tuple[str | Path, str | Path]
"""A file of inputs, and one of their labels."""


def array_files(
    *,
    train: Files,
    test: Files | None = None,
    clean: Files | None = None,
    class_names: Sequence[str] | None = None,
    labels_checked: bool = False,
    name: str | None = None,
) -> Source[ImageSet]:
    """Read a data set in memory-mapped ``.npy`` files: each batch is read when it is needed.

    The memory that a run takes does not depend on the size of the inputs. There are 8 bytes for
    each label and for each position, and what noise and a conditioner's memory need of each sample.

    Args:
        train: the files of the training samples: inputs, and labels. Inputs are uint8 images,
            ``[samples, height, width]``, with channels before or after them, or finite floating-
            point numbers, ``[samples, ...]``, which are read as float32. Labels are whole numbers
            from 0, ``[samples]``.
        test: those of the test samples, whose labels are known to be right.
        clean: those of further samples whose labels are known to be right.
        class_names: a name for each class; by default, the numbers from 0 to the largest training
            label.
        labels_checked: whether the labels of the training samples are known to be right.
        name: the name in records; by default, that of the file of training inputs.

    Raises:
        InputError: a file cannot be read as an array, inputs or labels are not as above, there are
            not as many labels as inputs, or the parts differ in their shape.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from metaloss.tasks import array_files
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.save(folder / "x.npy", np.zeros((6, 8, 8, 3), dtype=np.uint8))
        >>> np.save(folder / "y.npy", np.arange(6) % 2)
        >>> source = array_files(train=(folder / "x.npy", folder / "y.npy"))
        >>> source.train.sample_shape, source.train.class_names
        ((3, 8, 8), ('0', '1'))
    """
    called = name or user_path(train[0]).stem
    targets = {
        part: _labels(files[1])
        for part, files in (("train", train), ("test", test), ("clean", clean))
        if files is not None
    }
    last = int(targets["train"].max())
    require(
        class_names is not None or last < len(targets["train"]),
        f"{train[1]}: expected no more classes than samples, got the label {last} among "
        f"{len(targets['train'])}; give class_names",
    )
    names = tuple(class_names or map(str, range(last + 1)))

    def part_of(part: str, files: Files) -> ImageSet:
        found = _inputs(files[0])
        label = called if part == "train" else f"{called} ({part})"
        return ImageSet(found, targets[part], names, label)

    return Source(
        part_of("train", train),
        None if test is None else part_of("test", test),
        None if clean is None else part_of("clean", clean),
        labels_checked,
    )


def mapped_array(path: str | Path) -> NDArray[Any]:
    """Return the array in a file ``.npy``, which is read when it is needed.

    Args:
        path: the file.

    Raises:
        InputError: there is no such file, or NumPy cannot read it.
    """
    place = user_path(path)
    require(place.is_file(), f"{place}: expected a file .npy, found no such file")
    with as_input_error(f"{place}: expected a file .npy of numbers"):
        # Copy on write: torch warns of arrays that cannot be written.
        found = np.load(place, mmap_mode="c", allow_pickle=False)
    require(
        isinstance(found, np.memmap), f"{place}: expected one array in a file .npy, got several"
    )
    return found


def _inputs(path: str | Path) -> MappedSamples:
    found = channels_first(mapped_array(path), str(path))
    image = found.dtype == np.uint8
    require(
        image or (found.dtype.kind == "f" and found.dtype.isnative),
        f"{path}: expected uint8 images or floating-point numbers, got {found.dtype}",
    )
    require(len(found) > 0, f"{path}: expected samples, got none")
    samples = MappedSamples(torch.from_numpy(found), torch.arange(len(found)), user_path(path).name)
    if not image:
        for chunk in chunks(samples):
            check_finite(str(path), chunk)
    return samples


def _labels(path: str | Path) -> Tensor:
    found = mapped_array(path)
    require(
        found.ndim == 1 and found.dtype.kind in "iu" and len(found) > 0,
        f"{path}: expected labels [samples], whole numbers, got {found.dtype} {list(found.shape)}",
    )
    labels = torch.from_numpy(found.astype(np.int64))
    require(int(labels.min()) >= 0, f"{path}: expected labels from 0, got {int(labels.min())}")
    return labels
