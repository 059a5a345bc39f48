"""The parts of a data set of one's own, found and compared, before anything is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metaloss.checks import require
from metaloss.files import user_path

from .decoding import shown
from .listings import other_images
from .own_clean import check_labels_known, check_same_kind, with_clean
from .own_reading import read_records
from .own_records import Records, class_names
from .own_repeats import Repeats, without_repeats
from .own_spellings import missing, spellings


@dataclass(frozen=True)
class OwnParts:
    """The samples of each part.

    Attributes:
        parts: those of "train" and, if there are any, of "test" and "clean".
        class_names: the names of the classes: the labels of the training samples.
        notes: what should be known of the data, a sentence each.
        name: the name of the data set.
        ids: the names of all samples but the test samples, in the order in which they were found.
        test_checked: whether the labels of "test" are known to be right.
        clean_named: whether "clean" was named among the data; if not, it is of further samples,
            whose names have nothing to do with those of the data.
    """

    parts: Mapping[str, Records]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    name: str
    ids: tuple[str, ...]
    test_checked: bool = True
    clean_named: bool = False


def own_parts(
    data: str | Path,
    *,
    clean: str | Path | None = None,
    test: str | Path | None = None,
    label: str = "label",
) -> OwnParts:
    """Find the samples of a data set of one's own. The arguments are those of ``own_data``.

    Raises:
        InputError: a place holds no samples, a part has labels that the training samples have not,
            samples are of different kinds, there is one class only, or all training samples are in
            another part, too.
    """
    found = read_records(data, label)
    everything = found["train"]
    names = class_names(everything.labels, everything.source)
    parts, clean_named = {"train": everything}, False
    if clean is not None:
        parts["train"], parts["clean"], clean_named = with_clean(everything, clean, label)
    if test is not None:
        found["test"] = read_records(test, label)["train"]
    if "test" in found:
        parts["test"] = found["test"]
        check_same_kind(everything, parts["test"])
        check_labels_known(everything, parts["test"])
    others = [part for name, part in parts.items() if name != "train"]
    repeats = without_repeats(parts["train"], others)
    require(
        repeats.elsewhere < len(parts["train"]),
        f"{everything.source}: expected training samples that are not clean or test samples, too; "
        f"all {repeats.elsewhere} are",
    )
    parts["train"] = repeats.records
    name = user_path(data).resolve().stem
    return OwnParts(
        parts,
        names,
        _notes(everything, repeats) + _of_other_types(user_path(data)),
        name,
        everything.ids,
        test_checked=test is not None,
        clean_named=clean_named,
    )


def _of_other_types(data: Path) -> tuple[str, ...]:
    others = other_images(data) if data.is_dir() else []
    if not others:
        return ()
    types = ", ".join(sorted(set(others)))
    return (f"{len(others)} pictures are of types that are not read ({types}): they are left out",)


def _notes(everything: Records, repeats: Repeats) -> tuple[str, ...]:
    notes = (spellings(everything.labels), missing(everything.labels))
    said = [note for note in notes if note is not None]
    if repeats.elsewhere:
        said.append(
            f"{repeats.elsewhere} training samples are clean or test samples, too; they are left "
            "out of training"
        )
    if repeats.differing:
        one, other = map(shown, repeats.example)
        said.append(
            f"{repeats.repeated} training samples occur twice or more, {repeats.differing} of them "
            f"with different labels, such as {one} and {other}"
        )
    elif repeats.repeated:
        said.append(f"{repeats.repeated} training samples occur twice or more")
    return tuple(said)
