"""The mean margin of each sample over training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import InputError
from metaloss.conditioners.margin import margins


class MeanMargins:
    r"""The mean, over all ordinary steps, of the margin that a sample had in its batch.

    .. math:: \bar m_i = \frac{1}{T_i} \sum_{t \,:\, i \in B_t}
              \bigl(z_{y_i} - \max_{j \ne y_i} z_j\bigr)

    This is the area under the margin of Pleiss et al. It takes the outputs of the steps that are
    made anyway: no pass through the network is added, and nothing waits for the device.

    Args:
        num_samples: the number of training samples, to which a batch's ``index`` refers.
        device: where the sums are kept.

    Attributes:
        sums: the sum of each sample's margins, ``[samples]``, float32.
        counts: the number of batches that each sample was in, ``[samples]``, int32.

    Example:
        >>> import torch
        >>> from metaloss.training.mean_margins import MeanMargins
        >>> kept = MeanMargins(2)
        >>> for logits in ([[3.0, 1.0]], [[1.0, 3.0]], [[5.0, 1.0]]):
        ...     kept.add(torch.tensor(logits), torch.tensor([0]), torch.tensor([1]))
        >>> kept.counts, kept.means()
        (tensor([0, 3], dtype=torch.int32), tensor([   nan, 1.3333]))

    References:
        Pleiss et al., Identifying mislabeled data using the area under the margin ranking, 2020,
        Eq. 1 and 2; the paper's reference [12].
    """

    def __init__(self, num_samples: int, device: torch.device | str = "cpu") -> None:
        self.sums = torch.zeros(num_samples, device=device)
        self.counts = torch.zeros(num_samples, dtype=torch.int32, device=device)

    @torch.no_grad()
    def add(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"],
    ) -> None:
        """Add one training batch.

        Args:
            outputs: the network's logits in the step.
            targets: the labels trained on.
            index: the samples' positions.

        Raises:
            InputError: on the CPU, an index is out of range.
        """
        own = margins(outputs, targets).margin.squeeze(1).to(self.sums)
        index = index.to(self.sums.device)
        try:
            self.sums.index_add_(0, index, own)
            self.counts.index_add_(0, index, torch.ones_like(index, dtype=torch.int32))
        except IndexError:
            raise InputError(
                f"index: expected positions in the {len(self.sums)} training targets, got "
                f"{int(index.min())}..{int(index.max())}"
            ) from None

    def means(self) -> Float[Tensor, " samples"]:
        """Return the mean margins; NaN for samples that were in no batch."""
        return self.sums / self.counts

    def state_dict(self) -> dict[str, Tensor]:
        """Return the sums and the counts."""
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.sums.copy_(saved["sums"])
        self.counts.copy_(saved["counts"])
