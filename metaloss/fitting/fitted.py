"""What a fit returns."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaloss.fitting.given import as_inputs
from metaloss.predict import RunNetwork
from metaloss.predict.predictions import predict_by

_SHOWN = 6  # classes that are named in a line


class TemporaryFolder:
    """A folder that is removed when nothing refers to this object any more.

    Unlike ``tempfile.TemporaryDirectory``, it is removed without a warning: users are not asked to
    close what they fitted.

    Attributes:
        path: the folder.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="metaloss-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, repr=False)
class Fitted:
    """A trained classifier, and what it makes of the labels that it was trained on.

    Attributes:
        folder: the run's folder, with report.html, labels.csv and config.gin. Without ``out`` it is
            removed with this object.
        network: the network, and how its inputs are made.
        classes: the classes, in the order of the probabilities: the labels as they were given.
        accuracy: the mean test accuracy of the last epochs, in [0, 1].
        accuracy_checked: whether the labels of the test samples are known to be right.
        label_quality: the preferred score of ``metaloss labels`` for each sample, in the order
            given: low for labels that are likely wrong. Samples that were held out have one, too;
            it is NaN for clean samples and for images that cannot be read.
        suggested: the label that is suggested for each sample, likewise; ``None`` for such samples.
        warnings: what may be wrong with the training, such as too few meta steps or a class that
            was given up, a sentence each.
    """

    folder: Path
    network: RunNetwork
    classes: NDArray[Any]
    accuracy: float
    accuracy_checked: bool
    label_quality: NDArray[np.float64]
    suggested: NDArray[Any]
    warnings: tuple[str, ...] = ()
    _kept: object = None

    def __repr__(self) -> str:
        """Return a line with the samples, the classes, the accuracy and the folder."""
        names = self.classes.tolist()
        shown = ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
        return (
            f"Fitted({len(self.label_quality)} samples of {len(names)} classes ({shown}), accuracy "
            f"{self.accuracy:.3f} by {'' if self.accuracy_checked else 'un'}checked labels, folder "
            f"{str(self.folder)!r})"
        )

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes.

        Args:
            data: a place, as for :func:`metaloss.predict.predict_run`; or inputs as those of
                :func:`metaloss.fit`.

        Returns:
            ``[samples, classes]``.

        Raises:
            InputError: the data do not go with those of the fit, or one of the samples cannot be
                predicted: an image that cannot be read, or a value that is NaN or infinite.
        """
        if not isinstance(data, str | os.PathLike):
            data = as_inputs(data)
        # A sample that was left out would shift all those after it.
        return predict_by(self.network, data, strict=True).probabilities.numpy()

    def predict(self, data: Any) -> NDArray[Any]:
        """Return the most probable class of each sample, ``[samples]``.

        Args:
            data: as for :meth:`predict_proba`.

        Raises:
            InputError: as for :meth:`predict_proba`.
        """
        return self.classes[self.predict_proba(data).argmax(axis=1)]
