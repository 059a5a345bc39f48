"""Classifiers: any other ``nn.Module`` from inputs to logits does as well.

torchvision is imported by the functions that need it, not by this package.
"""

from metaloss.models.lenet import LeNet
from metaloss.models.mlp import MLP
from metaloss.models.preact_resnet import PreActResNet18, preact_resnet18
from metaloss.models.resnet import (
    CifarResNet,
    ResNet34,
    resnet8,
    resnet20,
    resnet32,
    resnet34,
)
from metaloss.models.small_cnn import SmallCNN
from metaloss.models.wrappers import replace_head, resnet50, torchvision_model, vgg19_bn

__all__ = [
    "MLP",
    "CifarResNet",
    "LeNet",
    "PreActResNet18",
    "ResNet34",
    "SmallCNN",
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
