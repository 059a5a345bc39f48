"""The progress of runs for TensorBoard."""

from __future__ import annotations

from typing import Any

from metaloss.checks import InputError, is_number
from metaloss.experiments import RunFolder
from metaloss.experiments.records.names import slug
from metaloss.training.observe import Forwarding, Observer, RunInfo

_PLACES = ("train", "test", "validation", "meta")


class TensorBoard(Forwarding):
    """Writes the metrics of each epoch as scalars, and passes everything on to another observer.

    Args:
        folder: the folder of the experiment, whose path may be another one once it is locked. The
            event files are in ``tensorboard/METHOD/seed-S`` in it.
        observer: the other observer.

    Raises:
        InputError: the optional library ``tensorboard`` is not installed.
    """

    def __init__(self, folder: RunFolder, observer: Observer) -> None:
        super().__init__(observer)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError(
                "--tensorboard: expected the library tensorboard, it is not installed: "
                'pip install "metaloss[tensorboard]"'
            ) from None
        self._writer_at = SummaryWriter
        self._folder = folder
        self._writer: Any = None

    def begin(self, info: RunInfo) -> None:
        """Begin the event file of a run."""
        place = self._folder.path / "tensorboard" / slug(info.method) / f"seed-{info.seed}"
        self._writer = self._writer_at(str(place))
        super().begin(info)

    def epoch(self, record: dict[str, Any]) -> None:
        """Write the metrics of an epoch."""
        of_task = f"/{record['task']}" if "task" in record else ""  # where several are learned from
        for name, value in record.items():
            if name != "epoch" and is_number(value):
                self._writer.add_scalar(f"{tag(name)}{of_task}", value, record["epoch"])
        self._writer.flush()
        super().epoch(record)

    def end(self, record: dict[str, Any]) -> None:
        """Close the event file; there is none if all that a resumed run lacked was its result."""
        if self._writer is not None:
            self._writer.close()
        super().end(record)


def tag(name: str) -> str:
    """Return the tag of a metric, so that TensorBoard shows those of a kind together.

    Example:
        >>> from metaloss.console.tensorboard import tag
        >>> tag("test_accuracy"), tag("q_mean")
        ('accuracy/test', 'training/q_mean')
    """
    place, _, kind = name.partition("_")
    return f"{kind}/{place}" if place in _PLACES and kind else f"training/{name}"
