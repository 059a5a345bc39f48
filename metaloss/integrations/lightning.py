"""Integration with PyTorch Lightning."""

from __future__ import annotations

from typing import Any, TypeGuard

from lightning.pytorch import Callback, LightningModule, Trainer

from metaloss.checks import require
from metaloss.objective import AdjustedLoss


class ProgressCallback(Callback):
    """Calls ``criterion.progress`` before each step, which selects the snapshot (Algorithm 2).

    The fraction is that of ``max_epochs`` (counted in batches if an epoch's length is known) or of
    ``max_steps``, whichever is larger.

    Args:
        criterion: the criterion of the module.

    Raises:
        InputError: at the start of training, if the Trainer has neither limit.

    Example:
        >>> import metaloss
        >>> from lightning.pytorch import Trainer  # doctest: +SKIP
        >>> from metaloss.integrations.lightning import ProgressCallback  # doctest: +SKIP
        >>> criterion = metaloss.from_pretrained("gce-fashion-mnist-statistics")
        >>> Trainer(callbacks=[ProgressCallback(criterion)])  # doctest: +SKIP
    """

    def __init__(self, criterion: AdjustedLoss) -> None:
        self.criterion = criterion

    def on_train_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002 - the library's signature
    ) -> None:
        """Check the Trainer's limits."""
        require(
            _ends(trainer.max_epochs) or _ends(trainer.max_steps),
            "ProgressCallback: expected a Trainer with max_epochs or max_steps, for snapshots go "
            "by how much of training is done, got neither; call criterion.progress yourself",
        )

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Call ``criterion.progress``."""
        done = 0.0
        if _ends(trainer.max_epochs):
            # The number of batches is infinite if the loader has no length.
            epochs = trainer.current_epoch + min(batch_idx / trainer.num_training_batches, 1.0)
            done = epochs / trainer.max_epochs
        if _ends(trainer.max_steps):
            done = max(done, trainer.global_step / trainer.max_steps)
        self.criterion.progress(min(done, 1.0))


def _ends(most: int | None) -> TypeGuard[int]:
    """Whether the Trainer has this limit; -1 means no limit."""
    return most is not None and most > 0
