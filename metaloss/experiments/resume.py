"""Training that can be stopped, and resumed from its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from metaloss.experiments.records.checkpoint import load_latest, save_checkpoint
from metaloss.experiments.records.run_records import RunRecords
from metaloss.experiments.settings import RunSettings
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.observe import Forwarding, Observer


def run_resumable(
    trainings: MultiTaskTraining,
    identity: Mapping[str, Any],
    records: RunRecords,
    observer: Observer,
    settings: RunSettings,
    *,
    record: Callable[[], None] | None = None,
) -> None:
    """Train to the end, starting from the last checkpoint if there is one.

    After each epoch ``record`` is called, before its checkpoint; it writes more to the folder.

    Raises:
        InputError: The checkpoint is damaged or belongs to another run, or the metrics do not
            match its epochs.
    """
    records.identify(identity)
    warning = load_latest(records.checkpoint, trainings, identity)
    if warning is not None:
        observer.warn(warning)
    records.metrics.keep(trainings.epochs_finished)

    def after_epoch() -> None:
        if record is not None:  # first: what comes before a checkpoint is not done again
            record()
        if trainings.epoch % settings.checkpoint_every == 0 and trainings.done < trainings.total:
            keep = settings.keep_checkpoints
            save_checkpoint(records.checkpoint, trainings, identity, keep)

    trainings.run(_RecordingObserver(records, observer), after_epoch)


class _RecordingObserver(Forwarding):
    """Writes the metrics of each epoch, and passes everything on."""

    def __init__(self, records: RunRecords, observer: Observer) -> None:
        super().__init__(observer)
        self.records = records

    def epoch(self, record: dict[str, Any]) -> None:
        self.records.metrics.append(record)
        super().epoch(record)
