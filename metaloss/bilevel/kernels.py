"""Kernels with a tangent and a second derivative, for layers whose fastest kernels lack them.

All passes of a step use them, because the fastest kernels draw different dropout masks from the
same random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

RECURRENT = frozenset([torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu])
"""The functions that need :func:`torchs_own`."""


def kernels_with_rules() -> AbstractContextManager[None]:
    """Compute attention by matrix products instead of a fused kernel."""
    return sdpa_kernel(SDPBackend.MATH)


@contextmanager
def torchs_own() -> Iterator[None]:
    """Compute recurrent layers with torch's own kernels instead of oneDNN's and cuDNN's."""
    onednn, cudnn = torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    torch._C._set_cudnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(onednn)
        torch._C._set_cudnn_enabled(cudnn)
