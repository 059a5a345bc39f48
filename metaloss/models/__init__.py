"""Networks. Any other ``nn.Module`` that maps inputs to logits can be used as well.

torchvision is imported by the functions that need it, not by this package.
"""

from metaloss.models.lenet import LeNet
from metaloss.models.mlp import MLP
from metaloss.models.resnet import (
    ResNet,
    cifar_resnet,
    preact_resnet18,
    resnet8,
    resnet20,
    resnet32,
    resnet34,
)
from metaloss.models.small_cnn import SmallCNN
from metaloss.models.wrappers import replace_head, resnet50, torchvision_model, vgg19_bn

__all__ = [
    "MLP",
    "LeNet",
    "ResNet",
    "SmallCNN",
    "cifar_resnet",
    "preact_resnet18",
    "replace_head",
    "resnet8",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet50",
    "torchvision_model",
    "vgg19_bn",
]
