"""Every reader of files that somebody else may have written, each with a file that is whole."""

from __future__ import annotations

import gzip
import io
import json
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import metaloss
from metaloss.experiments.records.checkpoint import load_latest, save_checkpoint
from metaloss.experiments.records.confusion import read_confusion, write_confusion
from metaloss.experiments.records.labels_file import read_labels as read_doubtful
from metaloss.experiments.records.run_records import RunRecords
from metaloss.inputs import Inputs
from metaloss.models.weight_files import load_weights
from metaloss.predict.arrays import load_array
from metaloss.pretrained import load_adjuster, save_adjuster
from metaloss.tasks import NoisyLabels, array_files, noise
from metaloss.tasks.idx import read_idx
from metaloss.tasks.label_files import read_labels
from metaloss.tasks.own_arrays import read_arrays
from metaloss.tasks.own_tables import read_table


class Reader(NamedTuple):
    """A reader and its file.

    Attributes:
        name: the name of the file that is damaged.
        make: writes the file, and those beside it, into a folder.
        read: reads it.
        is_json: whether the file is JSON, so that it is damaged as JSON too.
    """

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    is_json: bool = False

    @cache  # noqa: B019 - the readers live as long as the tests
    def whole(self) -> dict[str, bytes]:
        """Return the files of the folder, by name."""
        with TemporaryDirectory() as place:
            self.make(Path(place))
            return {path.name: path.read_bytes() for path in Path(place).iterdir()}


def _adjuster(folder: Path) -> None:
    criterion = metaloss.AdjustedLoss(
        metaloss.losses.GCE(),
        metaloss.conditioners.Margin(),
        metaloss.Adjuster.for_loss(metaloss.losses.GCE(), metaloss.conditioners.Margin(), hidden=3),
    )
    save_adjuster(folder, criterion, about={"method": "A-GCE"})


def _idx(folder: Path) -> None:
    header = struct.pack(">HBB3I", 0, 8, 3, 2, 2, 2)
    (folder / "images.idx").write_bytes(header + bytes(range(8)))


def _gzipped(folder: Path) -> None:
    header = struct.pack(">HBB1I", 0, 8, 1, 5)
    (folder / "labels.gz").write_bytes(gzip.compress(header + bytes(range(5)), mtime=0))


def _csv(folder: Path) -> None:
    rows = ["id,width,height,label", "1,0.5,2,cat", '2,-1e3,4,"a, dog"', "3,7,8,cat"]
    (folder / "pets.csv").write_text("\n".join(rows) + "\n")


def _npz(folder: Path) -> None:
    held = io.BytesIO()
    np.savez(held, x=np.ones((4, 3), np.float32), y=np.array([0, 1, 0, 1]))
    (folder / "data.npz").write_bytes(held.getvalue())


def _npy(folder: Path) -> None:
    np.save(folder / "data.npy", np.ones((4, 3), np.float32))
    np.save(folder / "labels.npy", np.arange(4) % 2)


def _mapped(folder: Path) -> None:
    whole = array_files(train=(folder / "data.npy", folder / "labels.npy")).train
    whole.images[torch.arange(len(whole))]


def _noise(folder: Path) -> None:
    made = noise.symmetric(torch.arange(6) % 3, 0.4, 3, torch.Generator().manual_seed(0))
    made.save(folder / "noise.safetensors")


def _pickled_labels(folder: Path) -> None:
    held = {"clean_label": np.arange(5), "worse_label": np.arange(5)[::-1].copy()}
    torch.save(held, folder / "human.pt")


class _Counter:
    def __init__(self) -> None:
        self.state: dict[str, Any] = {"step": 3, "weights": torch.arange(4.0)}

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.state = {"step": saved["step"], "weights": saved["weights"]}


def _checkpoint(folder: Path) -> None:
    save_checkpoint(folder / "checkpoint.pt", _Counter(), {"method": "A"})


def _weights(folder: Path) -> None:
    torch.save(nn.Linear(2, 1).state_dict(), folder / "line.pth")


RESULT = {"method": "A", "seed": 0, "metric": "accuracy", "accuracy": 50.0, "seconds": 1.0}


def _result(folder: Path) -> None:
    (folder / "result.json").write_text(json.dumps(RESULT))


def _identity(folder: Path) -> None:
    RunRecords(folder).identify({"method": {"name": "A"}, "steps": 3})
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "train_loss": 1.0}\n')


def _metrics(folder: Path) -> None:
    for epoch in (1, 2):
        RunRecords(folder).metrics.append({"epoch": epoch, "train_loss": 1.0, "lr": 0.1})


def _tensors(folder: Path) -> None:
    RunRecords(folder).write_tensors("samples", {"index": torch.arange(3), "q": torch.ones(3)})


INPUTS = Inputs(
    kind="images",
    class_names=("cat", "dog"),
    sample_shape=(3, 8, 8),
    resize="cover",
    mean=(0.1, 0.2, 0.3),
    std=(1.0, 1.0, 1.0),
)


def _inputs(folder: Path) -> None:
    RunRecords(folder).write_inputs(INPUTS)


def _confusion(folder: Path) -> None:
    write_confusion(RunRecords(folder), torch.tensor([[1, 2], [3, 4]]), ("cat", "dog"))


def _doubtful(folder: Path) -> None:
    (folder / "labels.csv").write_text(
        "id,given_label,suggested_label,score\n1,cat,dog,0.25\n0,dog,dog,0.75\n"
    )


READERS = {
    "adjuster": Reader("adjuster.safetensors", _adjuster, load_adjuster),
    "card": Reader("card.json", _adjuster, load_adjuster, is_json=True),
    "checkpoint": Reader(
        "checkpoint.pt",
        _checkpoint,
        lambda f: load_latest(f / "checkpoint.pt", _Counter(), {"method": "A"}),
    ),
    "IDX": Reader("images.idx", _idx, lambda f: read_idx(f / "images.idx", 3)),
    "gzipped IDX": Reader("labels.gz", _gzipped, lambda f: read_idx(f / "labels.gz", 1)),
    "CSV": Reader("pets.csv", _csv, lambda f: read_table(f / "pets.csv")),
    "npz": Reader("data.npz", _npz, lambda f: read_arrays(f / "data.npz")),
    "mapped inputs": Reader("data.npy", _npy, _mapped),
    "mapped labels": Reader("labels.npy", _npy, _mapped),
    "npy": Reader("data.npy", _npy, lambda f: np.array(load_array(f / "data.npy"))),
    "noise": Reader(
        "noise.safetensors", _noise, lambda f: NoisyLabels.load(f / "noise.safetensors")
    ),
    "labels of people": Reader(
        "human.pt",
        _pickled_labels,
        lambda f: read_labels(f / "human.pt", "labels", ["clean_label"]),
    ),
    "weights": Reader(
        "line.pth", _weights, lambda f: load_weights(nn.Linear(2, 1), f / "line.pth", "a line")
    ),
    "result": Reader("result.json", _result, lambda f: RunRecords(f).result(), is_json=True),
    "identity": Reader(
        "identity.json",
        _identity,
        lambda f: RunRecords(f).identify({"method": {"name": "A"}, "steps": 3}),
        is_json=True,
    ),
    "metrics": Reader("metrics.jsonl", _metrics, lambda f: RunRecords(f).metrics.keep({None: 2})),
    "tensors": Reader(
        "samples.safetensors", _tensors, lambda f: RunRecords(f).read_tensors("samples")
    ),
    "inputs": Reader("inputs.json", _inputs, lambda f: RunRecords(f).read_inputs(), is_json=True),
    "confusion": Reader(
        "confusion.json", _confusion, lambda f: read_confusion(RunRecords(f)), is_json=True
    ),
    "doubtful labels": Reader("labels.csv", _doubtful, read_doubtful),
}
