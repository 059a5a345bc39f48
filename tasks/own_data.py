"""A data set of one's own, with doubtful labels, from whatever holds it."""

from __future__ import annotations

from pathlib import Path

from .folder_set import TIMEOUT
from .own_parts import own_parts
from .own_source import ImageReading, own_source
from .partition import AnySource


def own_data(
    data: str | Path,
    *,
    clean: str | Path | None = None,
    test: str | Path | None = None,
    label: str = "label",
    train_as_test: bool = False,
    size: int | None = None,
    channels: int = 3,
    in_memory: bool = True,
    workers: int = 0,
    timeout: float = TIMEOUT,
    flip: bool = True,
    strict: bool = False,
) -> AnySource:
    r"""Read a data set whose labels nobody checked, but for those of ``clean`` and of a test set.

    Args:
        data: a folder with a folder of images for each class, perhaps inside folders ``train`` and
            ``test`` (or ``val``); a CSV file with a column of labels and either a column ``path``
            of images or columns of numbers; an ``.npz`` file with arrays ``x`` and ``y``; or a
            folder that Hugging Face's ``datasets`` saved.
        clean: samples whose labels somebody checked: a text file of paths or ids in ``data``, whose
            labels there are right; a CSV file of paths or ids with their right labels; a
            ``labels.csv`` of ``metaloss fit`` with the right labels of some samples in its column
            ``checked_label``; or further samples, in a place like ``data``. They are not trained
            on, and judge the training.
        test: test samples with checked labels, in a place like ``data``; in place of those that
            ``data`` has, whose labels count as unchecked.
        train_as_test: where there are no test samples, take the training samples for them, too. A
            task must allow that by ``allow_overlap=True``.
        label: the name of the column of labels.
        size: height and width of images. Each is scaled to cover the square and cropped at its
            centre. If not given, all image files must have the same size. Arrays keep theirs.
        channels: channels of image files: 3 for colour, 1 for grey.
        in_memory: decode image files into memory. If not, they are read when they are needed, in
            colour and with a ``size``.
        workers: number of processes that then read images.
        timeout: as for :func:`image_files`.
        flip: whether images that are then read for training are flipped left to right at random.
        strict: refuse image files that cannot be read, in place of leaving them out.

    Returns:
        The source. Samples in several parts stay in the clean or the test part only.

    Raises:
        InputError: a place holds no samples or cannot be read, there is one class only, the parts
            differ in their kind or their classes, or an argument is out of range.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from metaloss.tasks import own_data
        >>> path = Path(tempfile.mkdtemp()) / "irises.csv"
        >>> _ = path.write_text("width,length,label\n0.2,1.4,setosa\n2.1,5.6,virginica\n")
        >>> source = own_data(path)
        >>> source.train.class_names, source.train.sample_shape
        (('setosa', 'virginica'), (2,))
    """
    found = own_parts(data, clean=clean, test=test, label=label)
    how = ImageReading(
        size=size,
        channels=channels,
        in_memory=in_memory,
        workers=workers,
        timeout=timeout,
        flip=flip,
        strict=strict,
    )
    return own_source(found, how, train_as_test=train_as_test).source
