"""Groups of classes against the best of all groupings."""

from __future__ import annotations

import itertools

import pytest
import torch
from sklearn.cluster import KMeans

from metaloss.checks import InputError
from metaloss.conditioners import ClassGroup, Concat, Margin, group_by_size


def best_grouping(sizes: list[int], num_groups: int) -> list[int]:
    """Return the grouping with the smallest squared distance to the groups' means, by brute force.

    On a line the best groups are neighbours, so it is enough to try where to cut.
    """
    order = sorted(range(len(sizes)), key=lambda k: sizes[k])

    def cost(members: list[int]) -> float:
        mean = sum(sizes[k] for k in members) / len(members)
        return sum((sizes[k] - mean) ** 2 for k in members)

    cut = [
        [order[a:b] for a, b in itertools.pairwise((0, *cuts, len(sizes)))]
        for cuts in itertools.combinations(range(1, len(sizes)), num_groups - 1)
    ]
    best = min(cut, key=lambda groups: sum(map(cost, groups)))
    return [next(g for g, members in enumerate(best) if k in members) for k in range(len(sizes))]


@pytest.mark.parametrize("num_groups", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "sizes",
    [
        [500, 10, 490, 12],
        [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50],  # long-tailed CIFAR-10
        [1, 2, 5, 100, 101, 103, 1000, 1001],
        [7, 7, 7, 300, 20, 20, 900],
    ],
)
def test_groups_are_the_best_there_are(sizes: list[int], num_groups: int):
    found = group_by_size(torch.tensor(sizes), num_groups)
    assert found.tolist() == best_grouping(sizes, num_groups)


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_those_of_kmeans(seed: int):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 1000, (60,), generator=generator)
    found = group_by_size(sizes, 4)
    kmeans = KMeans(4, n_init=10, random_state=0).fit(sizes.numpy().astype(float)[:, None])
    for one, other in itertools.combinations(range(60), 2):
        together = kmeans.labels_[one] == kmeans.labels_[other]
        assert (found[one] == found[other]) == together
    means = [sizes[found == g].double().mean() for g in range(4)]
    assert means == sorted(means)
    assert torch.equal(found, group_by_size(sizes, 4))


def test_prepare_groups_by_the_training_labels():
    labels = torch.cat([torch.full((n,), k) for k, n in enumerate([3, 90, 40, 100, 4])])
    conditioner = ClassGroup(num_groups=3)
    conditioner.prepare(labels[torch.randperm(len(labels))], 5)
    assert conditioner.class_groups.tolist() == [0, 2, 1, 2, 0]
    features = conditioner(torch.zeros(3, 5), torch.tensor([3, 0, 2]))
    assert features.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_classes_without_samples_are_the_rarest():
    conditioner = ClassGroup(num_groups=2)
    conditioner.prepare(torch.tensor([1] * 50 + [2] * 48), 4)
    assert conditioner.class_groups.tolist() == [0, 1, 1, 0]


def test_prepare_again_groups_again():
    conditioner = ClassGroup(num_groups=2)
    conditioner.prepare(torch.tensor([0] * 50 + [1] * 2), 2)
    conditioner.prepare(torch.tensor([0] * 2 + [1] * 50 + [2] * 3), 3)
    assert conditioner.class_groups.tolist() == [0, 1, 0]


def test_given_groups_stay():
    conditioner = ClassGroup(num_groups=3, groups=[2, 0, 2])
    for prepare in (False, True):
        if prepare:
            conditioner.prepare(torch.tensor([0] * 50 + [1] * 5 + [2] * 2), 3)
        features = conditioner(torch.zeros(3, 3), torch.arange(3))
        assert features.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]


def test_found_groups_are_part_of_the_state():
    trained = ClassGroup(num_groups=2)
    trained.prepare(torch.tensor([0] * 50 + [1] * 2 + [2] * 3), 3)
    fresh = Concat([Margin(), ClassGroup(num_groups=2)])
    fresh.load_state_dict(Concat([Margin(), trained]).state_dict())
    features = fresh(torch.zeros(3, 3), torch.arange(3))
    assert features[:, 1:].tolist() == [[0, 1], [1, 0], [1, 0]]


@pytest.mark.parametrize("groups", [[0, 3], [-1, 0]])
def test_a_group_out_of_range(groups: list[int]):
    with pytest.raises(InputError, match=r"groups: expected one of 0\.\.2 for each class, got"):
        ClassGroup(num_groups=3, groups=groups)


def test_no_groups_at_all():
    with pytest.raises(InputError, match=r"num_groups: expected .* at least 1, got 0"):
        ClassGroup(num_groups=0)


def test_groups_for_another_number_of_classes():
    with pytest.raises(InputError, match="expected one for each of 3 classes, got 2"):
        ClassGroup(num_groups=2, groups=[0, 1]).prepare(torch.tensor([0, 1, 2]), 3)


def test_too_few_sizes_to_group():
    with pytest.raises(InputError, match="at least 3 different class sizes, got 2"):
        ClassGroup(num_groups=3).prepare(torch.tensor([0, 0, 1, 1, 2]), 3)


def test_groups_not_found_yet():
    with pytest.raises(InputError, match=r"no groups yet.*prepare\(targets, num_classes\)"):
        ClassGroup(num_groups=2)(torch.zeros(1, 2), torch.tensor([0]))
