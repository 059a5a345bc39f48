"""The same from Python: on arrays, data sets and places."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from metaloss.fitting.fit_data import Outcome, Places
    from metaloss.fitting.fitted import Fitted, TemporaryFolder


def fit(
    data: Any,
    labels: Any = None,
    *,
    clean: Any = None,
    test: Any = None,
    out: str | Path | None = None,
    label: str = "label",
    baseline: bool = False,
    seed: int = 0,
    device: str | torch.device | None = None,
    strict: bool = False,
    verbose: bool = False,
    model: str | None = None,
    weights: str | None = None,
    size: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    meta_every: int | None = None,
    held_out: int | None = None,
    flip: bool | None = None,
) -> Fitted:
    """Trains a classifier on samples with doubtful labels, as the command ``metaloss fit`` does.

    With clean samples, a loss learns from them which labels to trust; without, it takes what was
    learned on other data (:doc:`/start/no-clean-set`). The arguments from ``model`` on are by
    default chosen by the data.

    Args:
        data: images, uint8 ``[samples, height, width]``, with channels before or after; numbers,
            ``[samples, ...]``, as an array or a tensor; a ``torch.utils.data.Dataset``, which is
            read once into memory; or a place, as for :func:`metaloss.tasks.own_data`.
        labels: the label of each sample, ``[samples]``, whole numbers or words; ``None`` if the
            data set or the place has them.
        clean: samples whose labels somebody checked: positions in ``data``, or a mask of it,
            ``[samples]``; or a pair of further inputs and labels. With a place, a place.
        test: a pair of inputs and labels that somebody checked, or a place, likewise.
        out: a new folder for the run; by default, a temporary one.
        label: the name of the column of labels, of a place.
        baseline: whether to train with cross entropy beside.
        seed: the seed.
        device: a device; by default, a GPU if there is one.
        strict: whether an image that cannot be read is an error.
        verbose: whether to print what the command prints.
        model: a network: one of ``metaloss.fitting.choices.OURS``, or a classifier of torchvision
            by its name.
        weights: ``"DEFAULT"``, or a file of pretrained weights; ``None`` for random weights.
        size: height and width of images, in pixels.
        epochs: passes over the training samples.
        batch_size: training samples in a batch.
        meta_every: training steps from one meta step to the next.
        held_out: training samples that are held out for the figures; with 0, the figures are those
            of the training samples.
        flip: whether images are flipped left to right at random in training.

    Returns:
        The classifier and the judged labels.

    Warns:
        UserWarning: unless ``verbose``, for each of the ``warnings`` of what is returned.

    Raises:
        InputError: the data cannot be read or used, or an argument does not fit them.

    Example:
        >>> import metaloss
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> wrong = y.copy()
        >>> wrong[::5] = (y[::5] + 1) % 3
        >>> fitted = metaloss.fit(x, wrong, epochs=20)
        >>> bool((fitted.predict(x) == y).mean() > 0.8)
        True
    """
    # Not above: `import metaloss` is light.
    from metaloss.checks import check_at_least
    from metaloss.experiments import RunFolder
    from metaloss.fitting.choices import Options
    from metaloss.fitting.fit_data import Settings, fit_data
    from metaloss.fitting.fitted import TemporaryFolder
    from metaloss.randomness import randomness_restored
    from metaloss.users_code import warn

    options = Options(
        model=model,
        weights=weights,
        size=size,
        epochs=epochs,
        batch_size=batch_size,
        meta_every=meta_every,
        held_out=held_out,
        flip=flip,
    )
    kept = TemporaryFolder() if out is None else None
    folder = RunFolder(kept.path / "run" if kept is not None else Path(str(out)))
    with _places(data, labels, clean, test, label) as (places, classes):
        settings = Settings(
            baseline=baseline,
            seeds=(check_at_least("seed", seed, 0),),
            device=None if device is None else str(device),  # a torch.device, too
            strict=strict,
            keep_data=classes is not None,
        )
        with randomness_restored(_cuda_devices()), nullcontext() if verbose else _quiet():
            outcome = fit_data(places, options, settings, folder)
            fitted = _fitted(outcome, classes, folder.path, kept)
    if not verbose:  # otherwise they have been printed
        for sentence in fitted.warnings:
            warn(sentence)
    return fitted


def _cuda_devices() -> list[torch.device]:
    """Return all of them: seeding torch seeds the generator of each, whichever one is used."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.device("cuda", number) for number in range(count)]


@contextmanager
def _places(
    data: Any, labels: Any, clean: Any, test: Any, label: str
) -> Iterator[tuple[Places, dict[str, Any] | None]]:
    """Yield where the samples are, and for arrays the labels that the classes stand for."""
    from metaloss.checks import InputError, require
    from metaloss.files import user_path
    from metaloss.fitting.fit_data import Places
    from metaloss.fitting.given import as_arrays, write_places

    if isinstance(data, str | os.PathLike):
        require(labels is None, "labels: expected none beside a place, which has its own")
        for name, place in (("clean", clean), ("test", test)):
            require(
                place is None or isinstance(place, str | os.PathLike),
                f"{name}: expected a place, as the data are, got {type(place).__name__}",
            )
        # Absolute, as in the run: the names of image files are their paths.
        places = [None if each is None else user_path(each).resolve() for each in (clean, test)]
        yield (
            Places(
                data=user_path(Path(data)).resolve(), clean=places[0], test=places[1], label=label
            ),
            None,
        )
        return
    given = as_arrays(data, labels, "data")
    with TemporaryDirectory(prefix="metaloss-") as scratch:
        written = write_places(given, clean, test, Path(scratch))
        try:
            yield written, _meant(given[1])
        except InputError as error:  # the caller gave arrays, and knows no such files
            said = str(error)
            for argument in ("data", "clean", "test"):
                place = getattr(written, argument)
                said = said if place is None else said.replace(str(place), argument)
            raise InputError(said) from None


def _meant(labels: Any) -> dict[str, Any]:
    from metaloss.tasks.own_arrays import as_word

    return {as_word(label): label for label in np.unique(labels)}


@contextmanager
def _quiet() -> Iterator[None]:
    with (
        Path(os.devnull).open("w") as nothing,
        redirect_stdout(nothing),
        redirect_stderr(nothing),
    ):
        yield


def _fitted(
    outcome: Outcome,
    classes: dict[str, Any] | None,
    folder: Path,
    kept: TemporaryFolder | None,
) -> Fitted:
    from metaloss.experiments import RunFolder
    from metaloss.experiments.records.finished import Choice
    from metaloss.fitting.fitted import Fitted
    from metaloss.fitting.gin_lines import LEARNED
    from metaloss.predict import read_network

    run, judged = outcome.run, outcome.judged
    names = run.class_names
    meant = np.array([name if classes is None else classes[name] for name in names])
    at = {name: position for position, name in enumerate(outcome.found.ids)}
    rows = [at[str(name)] for name in run.judged_ids]
    quality = np.full(len(at), np.nan)
    quality[rows] = judged.score().numpy()
    suggested = np.full(len(at), None, dtype=object)
    suggested[rows] = meant[judged.suggested.numpy()]
    result = RunFolder(folder, resume=True).run(LEARNED, run.seed).result()
    assert result is not None
    return Fitted(
        folder=folder,
        network=read_network(folder, Choice(method=LEARNED, seed=run.seed)),
        classes=meant,
        accuracy=result["accuracy"] / 100,  # a record has percent
        accuracy_checked=not result.get("test_unchecked", False),
        label_quality=quality,
        suggested=suggested,
        warnings=(*result.get("warned_before", ()), *result.get("warnings", ())),
        _kept=kept,
    )
