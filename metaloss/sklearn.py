"""A classifier for scikit-learn that is robust to wrong labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from metaloss.fitting.from_python import fit
from metaloss.predict import RunNetwork
from metaloss.predict.predictions import predict_by


def _in_float64(network: RunNetwork) -> RunNetwork:
    """Return the network in float64, so that a prediction does not depend on its batch."""
    return replace(
        network, model=network.model.double(), inputs=replace(network.inputs, dtype="float64")
    )


class RobustClassifier(ClassifierMixin, BaseEstimator):
    """Trains a small network on samples with doubtful labels, as :func:`metaloss.fit` does.

    All samples are trained on; none is held out.

    Args:
        model: the network, as for ``metaloss fit --model``; by default, a multilayer perceptron.
        epochs: passes over the samples; by default, as many as make about 2,000 steps.
        batch_size: samples in a batch; by default, by the number of samples.
        device: a device; by default, a GPU if there is one.
        random_state: the seed, or a generator of it.
        verbose: whether to print what the command prints.

    Attributes:
        classes_: the classes, sorted, ``[classes]``.
        n_features_in_: the number of columns of the training samples.
        label_quality_: low for labels that are likely wrong, ``[samples]``; NaN for clean samples.
        suggested_labels_: the label that is suggested for each training sample, ``[samples]``.

    Example:
        >>> from metaloss.sklearn import RobustClassifier
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> wrong = y.copy()
        >>> wrong[::5] = (y[::5] + 1) % 3
        >>> robust = RobustClassifier(epochs=20, random_state=0).fit(x, wrong)
        >>> bool(robust.score(x, y) > 0.8)
        True
        >>> doubtful = robust.label_quality_.argsort()[:10]
        >>> bool((wrong[doubtful] != y[doubtful]).mean() > 0.6)
        True
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        device: str | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self, X: Any, y: Any, clean: NDArray[Any] | tuple[Any, Any] | None = None
    ) -> RobustClassifier:
        """Train on samples with doubtful labels.

        Args:
            X: ``[samples, features]``.
            y: their labels, ``[samples]``.
            clean: which labels somebody checked: positions, or a mask ``[samples]``; or a pair of
                further inputs and labels.

        Raises:
            ValueError: the data cannot be used.
        """
        X, y = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"RobustClassifier: expected two classes or more, got 1 class: {self.classes_[0]}"
            )
        fitted = fit(
            X,
            numbers,
            clean=self._numbered(clean) if isinstance(clean, tuple) else clean,
            model=self.model,
            epochs=self.epochs,
            batch_size=self.batch_size,
            held_out=0,
            device=self.device,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            verbose=self.verbose,
        )
        # The folder of the run is a temporary one: what is kept of it is in memory.
        self.network_ = _in_float64(fitted.network)
        self.label_quality_ = fitted.label_quality
        told = [number is not None for number in fitted.suggested]
        self.suggested_labels_ = np.array(y, copy=True)
        self.suggested_labels_[told] = self.classes_[fitted.suggested[told].astype(int)]
        return self

    def _numbered(self, clean: tuple[Any, Any]) -> tuple[Any, NDArray[np.int64]]:
        """Return further clean samples with their labels as positions in ``classes_``."""
        inputs, labels = clean
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"clean: expected labels of the training samples, got others, such as {unknown[0]}"
            )
        return np.asarray(inputs, dtype=np.float32), np.searchsorted(self.classes_, labels)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes, ``[samples, classes]``.

        Args:
            X: ``[samples, features]``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return predict_by(self.network_, X).probabilities.numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each sample, ``[samples]``.

        Args:
            X: ``[samples, features]``.
        """
        chosen = self.predict_proba(X).argmax(axis=1)
        return self.classes_[chosen]
