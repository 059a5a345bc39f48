"""A table as a data set: wines by their measurements."""

import torch
from sklearn.datasets import load_wine

from metaloss.tasks import ImageSet, Source


def wine() -> Source[ImageSet]:
    """scikit-learn's 178 wines of three growers, by 13 measurements."""
    table = load_wine()  # yours: the columns and the labels that pandas read
    inputs = torch.tensor(table.data, dtype=torch.float32)
    inputs = (inputs - inputs.mean(dim=0)) / inputs.std(dim=0)
    labels = torch.tensor(table.target)
    names = tuple(table.target_names)
    return Source(ImageSet(inputs, labels, names, "wine"), labels_checked=True)
