"""Text and tables with wrong labels: cross entropy, robust losses, and the bundled adjusters.

    python docs/scripts/text_and_tables.py [--seeds 3] [--json FILE] [--csv FILE]

The text is the docstrings of installed packages; the class is the package. The tables come with
scikit-learn. Nothing is downloaded. The figures are in ``transfer-results.md``.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import inspect
import json
import pkgutil
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from sklearn import datasets as tables
from torch import Tensor, nn

import metaloss
from metaloss import AdjustedLoss
from metaloss.losses import GCE, JS, SL, PolySoft
from metaloss.models import MLP
from metaloss.tasks import NoisyLabels, noise

PACKAGES = ("numpy", "scipy", "sklearn", "matplotlib", "torch", "torchvision")
TEXTS, VOCABULARY, LENGTH = 300, 2000, 48  # texts of a package, words, words of a text
LAST = 5  # epochs in the mean
LOSSES = {"gce": GCE(), "js": JS(), "polysoft": PolySoft(), "sl": SL()}
CASES = {"POLYSOFT": "PolySoft"}
CRITERIA: dict[str, Callable[[int], nn.Module]] = {"CE": lambda _: nn.CrossEntropyLoss()}
for _name, _loss in LOSSES.items():
    CRITERIA[_name.upper()] = lambda _, loss=_loss: AdjustedLoss.fixed(loss)
    CRITERIA[f"T-{_name.upper()}"] = lambda steps, name=_name: metaloss.from_pretrained(
        name, total_steps=steps
    )


def next_class(targets: Tensor, num_classes: int, generator: torch.Generator) -> NoisyLabels:
    """Return labels of which 30% became the next class."""
    mapping = {k: (k + 1) % num_classes for k in range(num_classes)}
    return noise.asymmetric(
        targets=targets, num_classes=num_classes, generator=generator, rate=0.3, mapping=mapping
    )


NOISES: dict[str, Callable[..., NoisyLabels]] = {
    "symmetric 40%": partial(noise.symmetric, rate=0.4),
    "asymmetric 30%": next_class,
}


class Data(NamedTuple):
    """Samples, and how they are learned.

    Attributes:
        name: the data and the network.
        inputs: ``[samples, ...]``.
        labels: int64 ``[samples]``.
        network: makes the network.
        epochs: the number of epochs.
    """

    name: str
    inputs: Tensor
    labels: Tensor
    network: Callable[[], nn.Module]
    epochs: int


class BagOfEmbeddings(nn.Module):
    """The mean embedding of a text's words, and a hidden layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(VOCABULARY + 1, 64, padding_idx=VOCABULARY)
        self.last = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, words: Tensor) -> Tensor:
        """Return the logits of ``[batch, LENGTH]`` words."""
        return self.last(self.words(words))


class TinyTransformer(nn.Module):
    """One encoder layer on embeddings of words and positions."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY + 1, 64)
        self.positions = nn.Parameter(0.02 * torch.randn(LENGTH, 64))
        self.encoder = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True)
        self.last = nn.Linear(64, classes)

    def forward(self, words: Tensor) -> Tensor:
        """Return the logits of ``[batch, LENGTH]`` words."""
        return self.last(self.encoder(self.words(words) + self.positions).mean(dim=1))


def docstrings(package: str) -> Iterator[str]:
    """Yield the different docstrings of a package's public functions and classes."""
    root, seen = importlib.import_module(package), set()
    modules = [root]
    for found in pkgutil.iter_modules(root.__path__, f"{package}."):
        if not found.name.rpartition(".")[2].startswith(("_", "test")):
            try:
                modules.append(importlib.import_module(found.name))
            except Exception:  # what the package itself needs is not installed
                continue
    for module in modules:
        for name, member in sorted(vars(module).items()):
            text = inspect.getdoc(member) if callable(member) else None
            ours = (getattr(member, "__module__", None) or package).partition(".")[0] == package
            if ours and text and len(text.split()) >= 12 and not name.startswith("_"):
                if text not in seen:
                    yield text
                seen.add(text)


def texts() -> tuple[Tensor, Tensor]:
    """Return the words of the docstrings as numbers, ``[texts, LENGTH]``, and their packages."""
    names, found, labels = set(PACKAGES), [], []
    for label, package in enumerate(PACKAGES):
        for text in sorted(docstrings(package))[:TEXTS]:
            words = [w for w in re.findall(r"[a-z]+", text.lower()) if w not in names]
            found.append(words[:LENGTH])
            labels.append(label)
    common = Counter(word for words in found for word in words).most_common(VOCABULARY)
    number = {word: place for place, (word, _) in enumerate(common)}
    rows = [[number[w] for w in words if w in number] for words in found]
    padded = [row + [VOCABULARY] * (LENGTH - len(row)) for row in rows]
    return torch.tensor(padded), torch.tensor(labels)


def data() -> Iterator[Data]:
    """Yield each data set with each of its networks."""
    words, packages = texts()
    print("docstrings:", dict(zip(PACKAGES, packages.bincount().tolist(), strict=True)))
    yield Data("text, bag", words, packages, lambda: BagOfEmbeddings(len(PACKAGES)), 25)
    yield Data("text, transformer", words, packages, lambda: TinyTransformer(len(PACKAGES)), 25)
    for name, load in (("breast cancer", tables.load_breast_cancer), ("wine", tables.load_wine)):
        inputs, labels = load(return_X_y=True)
        x, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
        x = (x - x.mean(dim=0)) / x.std(dim=0)
        network = partial(MLP, x.shape[1], int(y.max()) + 1)
        yield Data(f"table, {name}", x, y, network, 60)


def noisy(data: Data, kind: str, seed: int, train: Tensor) -> Tensor:
    """Return the training labels after noise."""
    draws = torch.Generator().manual_seed(seed)
    classes = int(data.labels.max()) + 1
    return NOISES[kind](targets=data.labels[train], num_classes=classes, generator=draws).labels


def accuracy(data: Data, kind: str, make: Callable[[int], nn.Module], seed: int) -> float:
    """Return the test accuracy in percent of one training, the mean over the last epochs."""
    torch.manual_seed(seed)
    test, train = torch.randperm(len(data.labels)).tensor_split([len(data.labels) // 4])
    x, y = data.inputs[train], noisy(data, kind, seed, train)
    batch, found = min(64, len(x) // 4), []
    steps = len(x) // batch
    criterion, model = make(data.epochs * steps), data.network()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(data.epochs):
        model.train()
        for part in torch.randperm(len(x)).split(batch)[:steps]:
            optimizer.zero_grad()
            criterion(model(x[part]), y[part]).backward()
            optimizer.step()
        if epoch >= data.epochs - LAST:
            model.eval()
            with torch.no_grad():
                right = model(data.inputs[test]).argmax(dim=1) == data.labels[test]
            found.append(100 * right.double().mean().item())
    return statistics.fmean(found)


def title(name: str) -> str:
    """Return the name of a criterion in the documentation's table."""
    if name.startswith("T-"):
        return f"`{name.removeprefix('T-').lower()}`"
    return name if name == "CE" else f"{CASES.get(name, name)}, default"


def main(seeds: int, out: Path | None, table: Path | None) -> None:
    """Train everything, and print a table."""
    print(f"{'':22}{'noise':16}" + "".join(f"{name:>14}" for name in CRITERIA))
    rows = []
    for each in data():
        for kind in NOISES:
            cells = {}
            for name, make in CRITERIA.items():
                found = [accuracy(each, kind, make, seed) for seed in range(seeds)]
                spread = statistics.stdev(found) if seeds > 1 else 0.0
                cells[name] = [round(statistics.fmean(found), 1), round(spread, 1)]
            rows.append({"data": each.name, "noise": kind, **cells})
            print(
                f"{each.name:22}{kind:16}"
                + "".join(f"{m:8.1f} ({s:3.1f})" for m, s in cells.values()),
                flush=True,
            )
    if out is not None:
        out.write_text(json.dumps(rows, indent=1) + "\n")
    if table is not None:
        with table.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("data", "noise", "method", "value", "spread"))
            for row in rows:
                cells = [(title(name), *row[name]) for name in CRITERIA]
                writer.writerows((row["data"], row["noise"], *cell) for cell in cells)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    main(given.seeds, given.json, given.csv)
