"""A run that may be stopped, and goes on from its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metaloss.experiments.checkpoint import load_latest, save_checkpoint
from metaloss.experiments.run_records import RunRecords
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.observe import Observer


def run_resumable(
    trainings: MultiTaskTraining,
    of: Mapping[str, Any],
    records: RunRecords,
    observer: Observer,
    checkpoint_every: int = 1,
) -> None:
    """Train to the end, from the checkpoint if there is one; each epoch is written down.

    Args:
        trainings: before their first step.
        of: what run it is, in plain values.
        records: where they are written.
        observer: told how it goes.
        checkpoint_every: epochs between checkpoints.

    Raises:
        InputError: the checkpoint is damaged, or of another run, or the metrics are not those of
            its epochs.
    """
    records.identify(of)
    remark = load_latest(records.checkpoint, trainings, of)
    if remark is not None:
        observer.remark(remark)
    records.metrics.keep(trainings.epochs_finished)

    def after_epoch() -> None:
        if trainings.epoch % checkpoint_every == 0 and trainings.done < trainings.total:
            save_checkpoint(records.checkpoint, trainings, of)

    trainings.run(_Both(records, observer), after_epoch)


class _Both(Observer):
    """Writes each epoch down, and tells another observer everything."""

    def __init__(self, records: RunRecords, observer: Observer) -> None:
        self.records = records
        self.observer = observer

    def remark(self, line: str) -> None:
        self.observer.remark(line)

    def step(self, step: int) -> None:
        self.observer.step(step)

    def epoch(self, record: dict[str, Any]) -> None:
        self.records.metrics.append(record)
        self.observer.epoch(record)
