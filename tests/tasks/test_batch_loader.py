"""Batches of samples in memory."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import Augment, BatchLoader, Normalise
from metaloss.types import Loader

INPUTS = torch.arange(23 * 2, dtype=torch.float32).view(23, 2)
TARGETS = torch.arange(23) % 3
IMAGES = torch.randint(
    256, (23, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
AUGMENT = Augment((0.5,), (0.25,), crop_padding=2)


def flat(loader, number):
    batches = list(loader.epoch(number))
    assert len(batches) == len(loader)
    return batches


def test_is_a_loader():
    loader = BatchLoader(INPUTS, TARGETS, 5)
    assert isinstance(loader, Loader)
    assert loader.num_samples == 23


@pytest.mark.parametrize(
    ("shuffle", "drop_last", "sizes"),
    [(True, True, [5] * 4), (True, False, [5] * 4 + [3]), (False, False, [5] * 4 + [3])],
)
def test_batches_and_coverage(shuffle, drop_last, sizes):
    loader = BatchLoader(INPUTS, TARGETS, 5, shuffle=shuffle, drop_last=drop_last)
    batches = flat(loader, 0)
    assert [len(batch.targets) for batch in batches] == sizes
    index = torch.cat([batch.index for batch in batches])
    assert len(set(index.tolist())) == sum(sizes)
    assert set(index.tolist()) <= set(range(23))
    for batch in batches:
        assert torch.equal(batch.inputs, INPUTS[batch.index])
        assert torch.equal(batch.targets, TARGETS[batch.index])
    if not shuffle:
        assert index.tolist() == list(range(23))


def test_every_sample_appears_although_the_last_batch_is_dropped():
    loader = BatchLoader(INPUTS, TARGETS, 5)
    seen = {int(i) for number in range(20) for batch in loader.epoch(number) for i in batch.index}
    assert seen == set(range(23))


def test_an_epoch_is_a_pure_function_of_seed_and_number():
    def epochs(seed, numbers):
        loader = BatchLoader(IMAGES, TARGETS, 5, seed=seed, transform=AUGMENT)
        return {
            number: (
                torch.cat([batch.index for batch in batches]),
                torch.cat([batch.inputs for batch in batches]),
            )
            for number in numbers
            for batches in [flat(loader, number)]
        }

    state = torch.get_rng_state()
    first, again, other = epochs(0, [0, 1, 2]), epochs(0, [2, 0]), epochs(1, [0])
    assert torch.equal(torch.get_rng_state(), state)
    for number in (0, 2):
        assert torch.equal(first[number][0], again[number][0])
        assert torch.equal(first[number][1], again[number][1])
    assert not torch.equal(first[0][0], first[1][0])
    assert not torch.equal(first[0][0], other[0][0])


def test_augmentation_differs_between_epochs_and_between_batches():
    same = IMAGES[:1].expand(20, -1, -1, -1)
    loader = BatchLoader(same, TARGETS[:20], 10, transform=AUGMENT)
    first, second = flat(loader, 0)
    third, _ = flat(loader, 1)
    assert not torch.equal(first.inputs, second.inputs)
    assert not torch.equal(first.inputs, third.inputs)


def test_two_epochs_can_be_read_at_once():
    loader = BatchLoader(IMAGES, TARGETS, 5, transform=AUGMENT)
    alone = [batch.inputs for batch in loader.epoch(3)]
    together = [batch.inputs for batch, _ in zip(loader.epoch(3), loader.epoch(4), strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_evaluation_passes_no_generator():
    given = []

    def transform(images, generator):
        given.append(generator)
        return images.float()

    flat(BatchLoader(IMAGES, TARGETS, 10, transform=transform, shuffle=False), 0)
    assert given == [None, None]
    flat(BatchLoader(IMAGES, TARGETS, 10, transform=transform), 0)
    assert all(isinstance(generator, torch.Generator) for generator in given[2:])


def test_evaluation_is_the_same_in_every_epoch():
    loader = BatchLoader(
        IMAGES, TARGETS, 23, transform=Normalise((0.5,), (0.2,)), shuffle=False, drop_last=False
    )
    (first,), (second,) = flat(loader, 0), flat(loader, 7)
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.inputs, Normalise((0.5,), (0.2,))(IMAGES))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_on_a_gpu_do_not_synchronise():
    loader = BatchLoader(IMAGES, TARGETS, 5, transform=AUGMENT, device="cuda")
    batches = loader.epoch(0)
    first = next(batches)  # the first batch copies the order to the device
    torch.cuda.set_sync_debug_mode("error")
    try:
        rest = list(batches)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    index = torch.cat([batch.index for batch in (first, *rest)])
    on_cpu = BatchLoader(IMAGES, TARGETS, 5, transform=AUGMENT)
    assert torch.equal(index.cpu(), torch.cat([batch.index for batch in on_cpu.epoch(0)]))
    assert first.inputs.device.type == "cuda"


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: BatchLoader(INPUTS, TARGETS, 24), "at most the 23 samples there are, got 24"),
        (lambda: BatchLoader(INPUTS, TARGETS, 0), "batch_size: .* at least 1, got 0"),
        (lambda: BatchLoader(INPUTS, TARGETS[:3], 2), "one length, got 23 and 3"),
        (lambda: BatchLoader(IMAGES, TARGETS, 2), "transform: expected one for torch.uint8"),
        (lambda: BatchLoader(INPUTS, TARGETS, 2).epoch(-1), "epoch: .* got -1"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_in_order_gives_every_sample_once_for_evaluation():
    evaluation = Normalise(AUGMENT.mean, AUGMENT.std)
    loader = BatchLoader(IMAGES, TARGETS, 5, transform=AUGMENT, eval_transform=evaluation)
    for each in (loader, loader.again(seed=3)):
        batches = flat(each.in_order(), 0)
        assert torch.cat([batch.index for batch in batches]).tolist() == list(range(len(IMAGES)))
        assert torch.equal(torch.cat([batch.inputs for batch in batches]), evaluation(IMAGES))
