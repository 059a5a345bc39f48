"""The adjusted loss, a criterion that stands where ``nn.CrossEntropyLoss`` stood."""

from metaloss.objective.adjusted_loss import AdjustedLoss, PerSample

__all__ = ["AdjustedLoss", "PerSample"]
