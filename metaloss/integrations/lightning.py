"""For PyTorch Lightning."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from metaloss.objective import AdjustedLoss


class ProgressCallback(Callback):
    """Tells a criterion how much of training is done: moves its snapshots (Algorithm 2).

    Args:
        criterion: the module's.

    Example:
        >>> import metaloss
        >>> from lightning.pytorch import Trainer  # doctest: +SKIP
        >>> from metaloss.integrations.lightning import ProgressCallback  # doctest: +SKIP
        >>> criterion = metaloss.from_pretrained("gce-fashion-mnist-margin")
        >>> Trainer(callbacks=[ProgressCallback(criterion)])  # doctest: +SKIP
    """

    def __init__(self, criterion: AdjustedLoss) -> None:
        self.criterion = criterion

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002 - the library's signature
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Before each step."""
        total = trainer.estimated_stepping_batches
        self.criterion.progress(min(trainer.global_step / total, 1.0))
