"""Names of classes, pairs of similar classes, and superclasses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DIGITS_CLASSES = tuple(str(digit) for digit in range(10))

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

ANIMAL10N_CLASSES = (
    "cat",
    "lynx",
    "wolf",
    "coyote",
    "cheetah",
    "jaguar",
    "chimpanzee",
    "orangutan",
    "hamster",
    "guinea pig",
)

CIFAR10_PAIRS: Mapping[int, int] = MappingProxyType({9: 1, 2: 0, 4: 7, 3: 5})
"""CIFAR-10: truck to automobile, bird to airplane, deer to horse, cat to dog (Section 4.1)."""

DIGITS_PAIRS: Mapping[int, int] = MappingProxyType({2: 7, 3: 8, 5: 6, 6: 5, 7: 1})
"""Digits: 2 to 7, 3 to 8, 5 to 6 and back, 7 to 1: the similar digits of Patrini et al., 2017."""

FASHION_MNIST_PAIRS: Mapping[int, int] = MappingProxyType({0: 6, 2: 4, 5: 7, 7: 9})
"""Fashion-MNIST: T-shirt to shirt, pullover to coat, sandal to sneaker, sneaker to ankle boot.

No pairs are published for this data set. These are the garments that classifiers confuse most. As
for CIFAR-10, four of the ten classes are mapped to four different classes.
"""

ANIMAL10N_PAIRS: Mapping[int, int] = MappingProxyType({k: k ^ 1 for k in range(10)})
"""ANIMAL-10N: the other animal of each of its five pairs, such as cat and lynx."""

PAIRS: Mapping[str, Mapping[int, int]] = MappingProxyType(
    {
        "animal10n": ANIMAL10N_PAIRS,
        "cifar10": CIFAR10_PAIRS,
        "digits": DIGITS_PAIRS,
        "fashion_mnist": FASHION_MNIST_PAIRS,
    }
)
"""Known mappings from a class to a similar one, by name; each is for ten classes."""

# fmt: off
CIFAR100_COARSE = (
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11,
    6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5,
    5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17,
    10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13,
    16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
)
# fmt: on
"""CIFAR-100: the published superclass of each class, both numbered in alphabetical order."""

GROUPS: Mapping[str, tuple[int, ...]] = MappingProxyType({"cifar100": CIFAR100_COARSE})
"""Known groupings of classes, by name."""
