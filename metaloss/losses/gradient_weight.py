"""The weight of a sample: how strongly its loss pulls, relative to the plain loss."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.losses.base import LossFamily
from metaloss.types import Outputs, Targets


def gradient_weight(
    loss: LossFamily,
    outputs: Outputs,
    targets: Targets,
    hparams: Float[Tensor, "batch hyperparameters"],
) -> Float[Tensor, " batch"]:
    r"""Return the factor by which each sample's loss scales the gradient of cross entropy.

    .. math:: v = \arg\min_v \left\| \frac{\partial \mathcal{L}}{\partial z} -
              v \frac{\partial \mathcal{L}_{CE}}{\partial z} \right\|^2 =
              \frac{\langle \partial_z \mathcal{L}, \partial_z \mathcal{L}_{CE} \rangle}
              {\| \partial_z \mathcal{L}_{CE} \|^2}

    Here :math:`z` are the network's outputs for the sample, and the hyperparameters are held fixed.
    A loss of the label's probability alone has :math:`\partial_z \mathcal{L} = v \,
    \partial_z \mathcal{L}_{CE}` with :math:`v = d\mathcal{L} / d\mathcal{L}_{CE}`, as has
    weighted cross entropy, where :math:`v` is the weight. These are the sample weights of Figure 9:

    ================ ==============================================================================
    GCE              :math:`f_y^q`
    SL               :math:`\gamma_1 - \gamma_2 A f_y`
    PolySoft         :math:`(1 - \mathcal{L}_{CE} / \lambda)_+^{1 / (d - 1)}`
    JS               :math:`f_y \bigl(1 - \log(\pi_1 / f_y + \pi_2) / \log \pi_2\bigr)`
    Meta-Weight-Net  the weight itself
    ================ ==============================================================================

    Other losses also pull towards or away from classes that are not the label's. The weight is then
    the part along the gradient of cross entropy; it is negative where a loss pushes away from the
    label. In regression half the squared error takes the place of cross entropy.

    Args:
        loss: the loss family.
        outputs: logits ``[batch, classes]``, or values. The result is as precise as their dtype;
            in float64 a weight can be told up to a margin of 700.
        targets: labels ``[batch]``, or values.
        hparams: the hyperparameters, ``[batch, d']``.

    Returns:
        The weights, ``[batch]``; 0 where the plain loss has no gradient.

    Raises:
        InputError: an argument has another shape or dtype.

    Example:
        >>> import torch
        >>> from metaloss.losses import GCE, gradient_weight
        >>> outputs, labels = torch.zeros(1, 4), torch.tensor([0])
        >>> gradient_weight(GCE(), outputs, labels, torch.tensor([[0.5]]))  # 0.25 ** 0.5
        tensor([0.5000])

    References:
        The paper, Section 4.3 and Figure 9. For PolySoft Gong et al., 2018; for Meta-Weight-Net Shu
        et al., 2019.
    """
    loss.kind.check(outputs, targets)
    with torch.enable_grad():
        z = outputs.detach().requires_grad_()
        losses = loss.evaluate(z, targets, hparams.detach(), constant=True).sum()
        plain = loss.kind.losses(z, targets).sum()
    (slope,) = torch.autograd.grad(losses, z)
    (reference,) = torch.autograd.grad(plain, z)
    # Both in units of the reference's length, whose square may underflow.
    length = reference.abs().amax(dim=1, keepdim=True)
    pulls = length > 0
    unit = torch.where(pulls, reference / torch.where(pulls, length, 1.0), 1.0)
    along = torch.where(pulls, slope / torch.where(pulls, length, 1.0), 0.0)
    return (along * unit).sum(dim=1) / unit.square().sum(dim=1)
