"""Measure how well the labels of held-out samples are ranked among those that were trained on.

`python docs/scripts/held_out_labels.py` fits data whose wrong labels are known, with the settings
that `metaloss fit` chooses, and prints the AUROC of the wrong labels (%): of the training samples
alone; of all, with the scores of the held-out samples as they are; and of all, with scores of the
same rank. Takes about ten minutes on two CPU cores.
"""

import tempfile
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.metrics import roc_auc_score

import metaloss
from metaloss.labels import assess, judge, read_run
from metaloss.labels.held_out import final_margins

DRAWN = {"n_features": 20, "n_informative": 12, "n_classes": 6, "n_clusters_per_class": 1}


def data_sets():
    """Yield the name, the inputs and the right labels of each data set."""
    x, y = load_digits(return_X_y=True)
    yield "digits", x.astype(np.float32), y
    x, y = make_classification(3000, **DRAWN, class_sep=1.2, flip_y=0, random_state=0)
    yield "drawn", x.astype(np.float32), y
    yield "few drawn", x[:300].astype(np.float32), y[:300]


def given(right, kind, rate, draw):
    """Return labels of which a share is wrong: any other class, or the next one."""
    labels, wrong = right.copy(), draw.random(len(right)) < rate
    classes = right.max() + 1
    steps = draw.integers(1, classes, wrong.sum()) if kind == "symmetric" else 1
    labels[wrong] = (right[wrong] + steps) % classes
    return labels


def measured(x, right, labels, seed, clean):
    """Return the three figures of one fit."""
    with tempfile.TemporaryDirectory() as folder:
        metaloss.fit(x, labels, out=Path(folder) / "run", seed=seed, clean=clean)
        run = read_run(Path(folder) / "run")
    judged, held_out = judge(run), run.held_out
    wrong = (labels != right)[[int(each) for each in run.judged_ids]]
    alone = assess(
        held_out.probabilities,
        held_out.labels,
        mean_margins=final_margins(held_out.probabilities, held_out.labels),
    )
    trained = judged.score()[: len(run.index)]
    as_they_are = torch.cat([trained, alone.score()])
    yield roc_auc_score(wrong[: len(trained)], -trained)
    yield roc_auc_score(wrong, -as_they_are)
    yield roc_auc_score(wrong, -judged.score())


def main():
    """Fit all data sets, and print the means."""
    found = defaultdict(list)
    kinds = (("symmetric", 0.2), ("symmetric", 0.4), ("asymmetric", 0.2))
    for (name, x, right), (kind, rate), checked, seed in product(
        data_sets(), kinds, (0, 100), (0, 1)
    ):
        if checked and name == "few drawn":
            continue
        draw = np.random.default_rng(seed)
        labels = given(right, kind, rate, draw)
        clean = draw.choice(len(right), checked, replace=False) if checked else None
        if checked:
            labels[clean] = right[clean]
        found[name].append(list(measured(x, right, labels, seed, clean)))
    for name, rows in found.items():
        print(name, len(rows), *np.round(100 * np.mean(rows, axis=0), 1))


if __name__ == "__main__":
    main()
