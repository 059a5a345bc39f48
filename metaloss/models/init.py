"""The initialisation of the convolutional networks."""

from __future__ import annotations

from torch import nn


def init_kaiming(model: nn.Module) -> None:
    r"""Draw every convolution's weight from :math:`N(0, 2 / (k^2 c_{out}))`, in place.

    Here :math:`k` is the kernel's side and :math:`c_{out}` the number of output channels. Gradients
    then keep their scale through a ReLU network. Biases of linear layers become 0; all other
    parameters keep torch's initial values.

    Example:
        >>> from metaloss.models.init import init_kaiming
        >>> layer = nn.Conv2d(64, 32, kernel_size=3)
        >>> init_kaiming(layer)
        >>> bool(0.07 < layer.weight.std() < 0.1)  # sqrt(2 / (9 * 32)) is 0.083
        True

    References:
        He et al., Delving deep into rectifiers, 2015; He et al., Deep residual learning for image
        recognition, 2016, section 3.4.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
