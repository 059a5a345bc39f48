"""What a task has to have to learn an adjuster on it."""

from __future__ import annotations

from metaloss.checks import InputError, require
from metaloss.kinds import CLASSIFICATION, kind_of
from metaloss.meta_losses import MetaLoss
from metaloss.training.recipe import Recipe
from metaloss.types import TaskLike, has_checked_meta


def check_meta(task: TaskLike, recipe: Recipe) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless the task has what the meta loss needs."""
    require(
        task.meta is not None,
        f"task {task.name}: expected samples to meta-train the adjuster on, got none; "
        "without clean ones, learn from the noisy ones (gin: recipes/no_clean.gin)",
    )
    _check_meta_loss(task, recipe)


def _check_meta_loss(task: TaskLike, recipe: Recipe) -> None:
    """Raise :class:`~metaloss.checks.InputError` if the meta loss needs clean meta samples.

    It does unless it is noise-tolerant, and the task's meta samples may have wrong targets. A loss
    that is not noise-tolerant is lowest for a network that has fitted these, and teaches the
    adjuster to trust them.
    """
    meta_loss = recipe.lookahead.meta_loss
    tolerant = isinstance(meta_loss, MetaLoss) and meta_loss.noise_tolerant
    if has_checked_meta(task) or tolerant or recipe.allow_noisy_meta:
        return
    labels = kind_of(task.num_classes) == CLASSIFICATION
    plain = "cross entropy" if labels else "half the squared error"
    checked = "labels_checked" if labels else "targets_checked"
    found = plain if meta_loss is None else _named(meta_loss)
    raise InputError(
        f"task {task.name}: expected {'a symmetric' if labels else 'a noise-tolerant'} meta loss, "
        "as nobody checked the targets of the meta samples, "
        f"got {found}, which teaches an adjuster to trust wrong targets. Use "
        "metaloss.meta_losses.MAE() (gin: recipes/no_clean.gin, as the last file); or, if the "
        "targets are right, set "
        f"{checked}=True of the data; or set allow_noisy_meta=True of the recipe "
        "(gin: ALLOW_NOISY_META)"
    )


def _named(meta_loss: object) -> str:
    return repr(meta_loss) if isinstance(meta_loss, MetaLoss) else "a function of your own"
