"""Kernels that have a tangent and a second derivative, for layers whose fastest ones have not.

All passes of a step use them: others draw other dropout masks from the same random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

RECURRENT = frozenset([torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu])
"""Functions that :func:`torchs_own` is for."""


def kernels_with_rules() -> AbstractContextManager[None]:
    """Attention by matrix products instead of a fused kernel."""
    return sdpa_kernel(SDPBackend.MATH)


@contextmanager
def torchs_own() -> Iterator[None]:
    """Recurrent layers by torch's own kernels instead of oneDNN's and cuDNN's."""
    onednn, cudnn = torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    torch._C._set_cudnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(onednn)
        torch._C._set_cudnn_enabled(cudnn)
