"""Label noise against its transition matrix, against slow formulas, and against bad input."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import CIFAR10_PAIRS, CIFAR100_COARSE, noise
from metaloss.tasks.class_names import PAIRS
from metaloss.tasks.sampling import cumulate, draw_labels

SAMPLES = 20_000
TARGETS = torch.arange(SAMPLES) % 10
GROUPS = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]  # class 9 is alone in its group
DENSE = torch.rand(10, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
DENSE = (DENSE / DENSE.sum(1, keepdim=True)).tolist()
IMAGES = torch.randint(
    256, (SAMPLES, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(6)
)

MAKERS = {
    "symmetric": partial(noise.symmetric, rate=0.4),
    "symmetric, all flipped": partial(noise.symmetric, rate=1.0),
    "asymmetric": partial(noise.asymmetric, rate=0.3, mapping={9: 1, 2: 0, 4: 7, 3: 5}),
    "asymmetric, named": partial(noise.asymmetric, rate=0.6, mapping="digits"),
    "hierarchical": partial(noise.hierarchical, rate=0.5, groups=GROUPS),
    "from a matrix": partial(noise.from_matrix, matrix=DENSE),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def expected_transition(name: str) -> torch.Tensor:
    """Return each matrix, written out entry by entry."""
    matrix = torch.zeros(10, 10, dtype=torch.float64)
    for i in range(10):
        for j in range(10):
            if name.startswith("symmetric"):
                rate = 1.0 if "all" in name else 0.4
                matrix[i, j] = 1 - rate if i == j else rate / 9
            elif name.startswith("asymmetric"):
                rate = 0.6 if "named" in name else 0.3
                pairs = (
                    {2: 7, 3: 8, 5: 6, 6: 5, 7: 1} if "named" in name else {9: 1, 2: 0, 4: 7, 3: 5}
                )
                if i in pairs:
                    matrix[i, j] = {i: 1 - rate, pairs[i]: rate}.get(j, 0.0)
                else:
                    matrix[i, j] = float(i == j)
            elif name == "hierarchical":
                mates = [k for k in range(10) if GROUPS[k] == GROUPS[i] and k != i]
                if not mates:
                    matrix[i, j] = float(i == j)
                else:
                    matrix[i, j] = 0.5 if i == j else 0.5 / len(mates) if j in mates else 0.0
            else:
                matrix[i, j] = DENSE[i][j]
    return matrix


@pytest.mark.parametrize("name", MAKERS)
def test_transition_equals_the_one_written_out(name):
    made = MAKERS[name](targets=TARGETS, num_classes=10, generator=generator())
    torch.testing.assert_close(made.transition, expected_transition(name), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", MAKERS)
def test_counts_are_binomial_around_the_transition(name):
    made = MAKERS[name](targets=TARGETS, num_classes=10, generator=generator())
    expected = expected_transition(name)
    for i in range(10):
        in_class = made.labels[i == TARGETS]
        n = len(in_class)
        for j in range(10):
            p = float(expected[i, j])
            count = int((in_class == j).sum())
            if p in (0.0, 1.0):
                assert count == p * n
            else:
                # five standard deviations; the seeds are fixed
                assert abs(count - p * n) < 5 * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("name", MAKERS)
def test_pure_in_the_generator(name):
    before = TARGETS.clone()
    first = MAKERS[name](targets=TARGETS, num_classes=10, generator=generator(1))
    again = MAKERS[name](targets=TARGETS, num_classes=10, generator=generator(1))
    other = MAKERS[name](targets=TARGETS, num_classes=10, generator=generator(2))
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.labels, other.labels)
    assert torch.equal(before, TARGETS)
    assert first.original.data_ptr() != TARGETS.data_ptr()
    assert torch.equal(first.flipped, first.labels != TARGETS)
    assert first.rate == (first.labels != TARGETS).double().mean()


def test_the_global_generator_does_not_change():
    state = torch.get_rng_state()
    for make in MAKERS.values():
        make(targets=TARGETS, num_classes=10, generator=generator())
    noise.instance_dependent(IMAGES, TARGETS, 0.3, 10, generator())
    assert torch.equal(torch.get_rng_state(), state)


def test_rate_is_that_of_changed_labels():
    # A uniform redraw would keep a label with probability 1/c, and the rate would be 0.45.
    made = noise.symmetric(torch.zeros(SAMPLES, dtype=torch.int64), 0.9, 2, generator())
    assert abs(made.rate - 0.9) < 5 * math.sqrt(0.9 * 0.1 / SAMPLES)


@pytest.mark.parametrize("classes", [2, 3, 100])
def test_every_label_flips_at_rate_one_and_none_at_zero(classes):
    targets = torch.arange(5_000) % classes
    assert bool(noise.symmetric(targets, 1.0, classes, generator()).flipped.all())
    assert not bool(noise.symmetric(targets, 0.0, classes, generator()).flipped.any())


def test_a_zero_probability_class_is_never_drawn_even_at_the_ends():
    probabilities = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]], dtype=torch.float64).expand(4, -1)
    draws = torch.tensor([0.0, 0.5 - 2**-54, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert draw_labels(cumulate(probabilities), draws).tolist() == [1, 1, 3, 3]


def test_a_float32_matrix_whose_rows_sum_almost_to_one_is_accepted():
    thirds = torch.full((3, 3), 1 / 3)
    labels = noise.from_matrix(torch.zeros(1000, dtype=torch.int64), thirds, generator()).labels
    assert labels.unique().tolist() == [0, 1, 2]


def test_samples_do_not_depend_on_those_after_them():
    whole = noise.symmetric(TARGETS, 0.4, 10, generator())
    first = noise.symmetric(TARGETS[:17], 0.4, 10, generator())
    assert torch.equal(whole.labels[:17], first.labels)


# The published superclasses, by name.
SUPERCLASSES = {
    "aquatic mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food containers": "bottle bowl can cup plate",
    "fruit and vegetables": "apple mushroom orange pear sweet_pepper",
    "household electrical devices": "clock keyboard lamp telephone television",
    "household furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large carnivores": "bear leopard lion tiger wolf",
    "large man-made outdoor things": "bridge castle house road skyscraper",
    "large natural outdoor scenes": "cloud forest mountain plain sea",
    "large omnivores and herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium-sized mammals": "fox porcupine possum raccoon skunk",
    "non-insect invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles 1": "bicycle bus motorcycle pickup_truck train",
    "vehicles 2": "lawn_mower rocket streetcar tank tractor",
}


def test_cifar100_superclasses_are_the_published_ones():
    fine = sorted(name for names in SUPERCLASSES.values() for name in names.split())
    coarse = list(SUPERCLASSES)
    assert coarse == sorted(coarse)
    assert len(fine) == 100
    for label, name in enumerate(fine):
        assert name in SUPERCLASSES[coarse[CIFAR100_COARSE[label]]].split()


def test_hierarchical_stays_in_the_superclass():
    targets = torch.arange(10_000) % 100
    made = noise.hierarchical(targets, 0.6, 100, generator(), "cifar100")
    coarse = torch.tensor(CIFAR100_COARSE)
    assert torch.equal(coarse[made.labels], coarse[targets])
    assert abs(made.rate - 0.6) < 5 * math.sqrt(0.6 * 0.4 / 10_000)


def test_cifar10_pairs_equal_the_papers():
    vehicles = ["airplane", "automobile", "ship", "truck"]
    names = sorted([*vehicles, "bird", "cat", "deer", "dog", "frog", "horse"])
    by_name = {names[a]: names[b] for a, b in CIFAR10_PAIRS.items()}
    assert by_name == {
        "truck": "automobile",
        "bird": "airplane",
        "deer": "horse",
        "cat": "dog",
    }


@pytest.mark.parametrize("name", PAIRS)
def test_named_pairs_are_of_two_classes_each(name):
    made = noise.asymmetric(TARGETS, 1.0, 10, generator(), name)
    assert torch.equal(
        made.labels, torch.tensor([PAIRS[name].get(label, label) for label in TARGETS.tolist()])
    )


FEW = torch.tensor([0, 1, 2])
BAD = {
    "rate above 1": (noise.symmetric, {"rate": 1.1}, r"rate: .*\[0, 1\], got 1.1"),
    "rate below 0": (noise.symmetric, {"rate": -0.1}, "rate"),
    "rate not a number": (noise.symmetric, {"rate": math.nan}, "rate"),
    "rate in words": (noise.asymmetric, {"rate": "0.4", "mapping": {0: 1}}, "rate"),
    "label out of range": (
        noise.symmetric,
        {"targets": torch.tensor([0, 3])},
        r"0\.\.2, got 0\.\.3",
    ),
    "negative label": (noise.symmetric, {"targets": torch.tensor([0, -1])}, r"got -1\.\.0"),
    "no labels": (noise.symmetric, {"targets": FEW[:0]}, "at least one"),
    "float labels": (noise.symmetric, {"targets": FEW.float()}, "int64"),
    "labels in a matrix": (noise.symmetric, {"targets": FEW[None]}, "int64 labels"),
    "one class": (
        noise.symmetric,
        {"targets": FEW * 0, "num_classes": 1},
        "num_classes: .* at least 2, got 1",
    ),
    "classes not whole": (noise.symmetric, {"num_classes": 3.0}, "num_classes"),
    "mapping target out of range": (noise.asymmetric, {"mapping": {0: 3}}, r"0\.\.2, got 0 to 3"),
    "mapping source out of range": (noise.asymmetric, {"mapping": {-1: 0}}, "got -1 to 0"),
    "mapping to itself": (noise.asymmetric, {"mapping": {1: 1}}, "different classes"),
    "mapping not whole": (noise.asymmetric, {"mapping": {0: 1.0}}, "got 0 to 1.0"),
    "empty mapping": (noise.asymmetric, {"mapping": {}}, "one class or more"),
    "unknown mapping": (noise.asymmetric, {"mapping": "mnist"}, "one of animal10n, .* got 'mnist'"),
    "mapping of other classes": (noise.asymmetric, {"mapping": "cifar10"}, "10 classes, got 3"),
    "too few groups": (noise.hierarchical, {"groups": [0, 1]}, "3 classes, got 2"),
    "groups not whole": (noise.hierarchical, {"groups": [0.0, 0.5, 0.5]}, "whole numbers"),
    "unknown groups": (noise.hierarchical, {"groups": "cifar"}, "cifar100, got 'cifar'"),
    "groups of other classes": (noise.hierarchical, {"groups": "cifar100"}, "3 classes, got 100"),
    "row sums": (
        noise.from_matrix,
        {"matrix": [[1, 0, 0], [0.5, 0.4, 0], [0, 0, 1]]},
        "got 0.9 in row 1",
    ),
    "negative probability": (
        noise.from_matrix,
        {"matrix": [[1.5, -0.5, 0], [0, 1, 0], [0, 0, 1]]},
        "probabilities, got -0.5",
    ),
    "NaN probability": (noise.from_matrix, {"matrix": torch.full((3, 3), math.nan)}, "got nan"),
    "not square": (noise.from_matrix, {"matrix": [[1.0, 0.0, 0.0]]}, "square"),
    "ragged": (noise.from_matrix, {"matrix": [[1.0], [0.0, 1.0]]}, "rows of numbers"),
    "matrix of other classes": (
        noise.from_matrix,
        {"matrix": torch.eye(4)},
        "expected 3 classes, got 4",
    ),
    "too few inputs": (noise.instance_dependent, {"inputs": torch.rand(2, 4)}, "each label"),
    "inputs without features": (noise.instance_dependent, {"inputs": torch.rand(3)}, "each label"),
    "whole-number inputs": (
        noise.instance_dependent,
        {"inputs": torch.ones(3, 4, dtype=torch.int64)},
        "uint8 or floating",
    ),
    "inputs not finite": (
        noise.instance_dependent,
        {"inputs": torch.full((3, 4), math.inf)},
        "12 of 12",
    ),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line(case):
    make, given, words = BAD[case]
    arguments = {"targets": FEW, "num_classes": 3, "generator": generator(), **given}
    if make is not noise.from_matrix:
        arguments.setdefault("rate", 0.4)
    with pytest.raises(InputError, match=words) as caught:
        make(**arguments)
    assert "\n" not in str(caught.value)
