"""Small networks of many kinds to differentiate through."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from metaloss.models import MLP, SmallCNN, preact_resnet18, resnet8, torchvision_model

CLASSES = 3


class Residual(nn.Module):
    """A residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.Softplus()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class Tied(nn.Module):
    """A network with two layers that share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(36, 36), nn.Linear(36, 36)
        self.second.weight = self.first.weight
        self.last = nn.Linear(36, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x.flatten(1))))))


class Attention(nn.Module):
    """Self-attention over the rows of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.squeeze(1)
        mixed, _ = self.attention(rows, rows, rows, need_weights=False)
        return self.last(mixed.mean(1))


class Centred(nn.Module):
    """A network whose outputs depend on earlier batches through a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("centre", torch.zeros(1, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.centre.mul_(0.5).add_(x.mean(0))
        return self.body(x - self.centre)


class Recurrent(nn.Module):
    """A recurrent layer over the rows of the image."""

    def __init__(self, layer: type[nn.RNNBase] = nn.LSTM) -> None:
        super().__init__()
        self.layer, self.last = layer(6, 5, batch_first=True), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x.squeeze(1))[0][:, -1])


class WithFrozen(nn.Module):
    """A network with a frozen weight."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, CLASSES))
        self.body[1].weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def mlp(activation: type[nn.Module] = nn.Tanh, *extra: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(36, 8), activation(), *extra, nn.Linear(8, CLASSES)
    )


def cnn(norm: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, CLASSES)
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "MLP": mlp,
    "MLP-ReLU": lambda: mlp(nn.ReLU),
    "MLP-dropout": lambda: mlp(nn.GELU, nn.Dropout(0.4)),
    "MLP-LayerNorm": lambda: mlp(nn.SiLU, nn.LayerNorm(8)),
    "CNN-BatchNorm": lambda: cnn(nn.BatchNorm2d(4)),
    "CNN-BatchNorm-cumulative": lambda: cnn(nn.BatchNorm2d(4, momentum=None)),
    "CNN-BatchNorm-eval": lambda: cnn(nn.BatchNorm2d(4)).eval(),
    "CNN-GroupNorm": lambda: cnn(nn.GroupNorm(2, 4)),
    "CNN-dropout2d": lambda: cnn(nn.Dropout2d(0.3)),
    "residual": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 3), Residual(3), Residual(3), nn.Flatten(), nn.Linear(48, CLASSES)
    ),
    "attention": Attention,
    "LSTM": Recurrent,
    "centred": Centred,
    "tied": Tied,
    "frozen": WithFrozen,
}


class Inplace(nn.Module):
    """A residual block with in-place operations on its activations, as in torchvision."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.relu, self.last = nn.ReLU(inplace=True), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        out = self.norm(self.conv(x))
        out += x
        return self.last(self.relu(out).mean((2, 3)))


class Transformer(nn.Module):
    """A transformer encoder over the rows of the image."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.2, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.encoder(x.squeeze(1)).mean(1))


class Normed(nn.Module):
    """A network with norms that lack learnable parameters or running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(4, affine=False),
            nn.SiLU(),
            nn.Conv2d(4, 4, 3, groups=2, padding="same"),
            nn.BatchNorm2d(4, track_running_stats=False),
            nn.InstanceNorm2d(4, affine=True),
        )
        self.last = nn.Sequential(nn.Linear(36, 8), nn.BatchNorm1d(8), nn.Linear(8, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x).flatten(1))


class OverTime(nn.Module):
    """A convolution over time, with the rows of the image as channels."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(6, 4, 3, dilation=2, padding=2), nn.BatchNorm1d(4), nn.ReLU()
        )
        self.last = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x.squeeze(1)).mean(2))


def partly_frozen() -> nn.Module:
    """Return a network in evaluation mode whose head and norms are fine-tuned."""
    model = cnn(nn.BatchNorm2d(4)).eval()
    model[0].requires_grad_(False)
    return model


def enlarged(size: int, model: nn.Module) -> nn.Module:
    """Return the model with an upsampling layer in front, for models that need larger images."""
    return nn.Sequential(nn.Upsample(size), model)


GRID: dict[str, Callable[[], nn.Module]] = {
    **MODELS,
    "in-place": Inplace,
    "transformer": Transformer,
    "transformer-eval": lambda: Transformer().eval(),
    "partly frozen": partly_frozen,
    "norms": Normed,
    "convolution over time": OverTime,
    "deep dropout": lambda: mlp(nn.Tanh, nn.Dropout(0.2), nn.Linear(8, 8), nn.AlphaDropout(0.1)),
    "our MLP": lambda: MLP(36, CLASSES, hidden=(8, 8)),
    "our CNN": lambda: enlarged(8, SmallCNN(1, CLASSES, width=4)),
    "resnet8": lambda: enlarged(16, resnet8(CLASSES, in_channels=1, width=4)),
}
LARGE: dict[str, Callable[[], nn.Module]] = {
    "preact": lambda: enlarged(8, preact_resnet18(CLASSES, in_channels=1, width=2)),
    "torchvision": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 1), enlarged(32, torchvision_model("shufflenet_v2_x0_5", CLASSES))
    ),
}
