"""Batch transforms, against torchvision's one image at a time."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError
from metaloss.shim import import_torchvision
from metaloss.tasks import STATISTICS, Augment, Normalise, channel_statistics, digits
from metaloss.tasks.transforms import crop_and_flip

functional = import_torchvision().transforms.functional


def images(batch=64, channels=3, height=8, width=6, seed=0):
    shape = (batch, channels, height, width)
    return torch.randint(
        256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize(("padding", "channels"), [(0, 3), (1, 1), (4, 3)])
def test_crop_and_flip_equals_torchvisions(padding, channels):
    batch = images(channels=channels)
    draws = torch.Generator().manual_seed(1)
    top = torch.randint(2 * padding + 1, (64,), generator=draws)
    left = torch.randint(2 * padding + 1, (64,), generator=draws)
    flipped = torch.rand(64, generator=draws) < 0.5
    result = crop_and_flip(batch, top, left, flipped, padding)
    for i in range(64):
        expected = functional.pad(batch[i], [padding] * 4)
        expected = functional.crop(expected, int(top[i]), int(left[i]), 8, 6)
        if flipped[i]:
            expected = functional.hflip(expected)
        assert torch.equal(result[i], expected)


def test_normalise_equals_torchvisions():
    batch = images()
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    expected = functional.normalize(batch.float() / 255, mean, std)
    torch.testing.assert_close(Normalise(mean, std)(batch, None), expected, rtol=1e-6, atol=1e-6)
    assert batch.dtype == torch.uint8


def placed(result, original, padding):
    """Find by trial where each image was cropped and whether it was flipped."""
    found = []
    for image, before in zip(result, original, strict=True):
        padded = functional.pad(before, [padding] * 4)
        matches = [
            (top, left, flip)
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
            for flip in (False, True)
            for crop in [functional.crop(padded, top, left, 8, 6)]
            if torch.equal(functional.hflip(crop) if flip else crop, image)
        ]
        assert len(matches) == 1
        found += matches
    return torch.tensor(found)


def test_augment_draws_uniformly_and_for_each_image():
    batch = images(batch=400)
    raw = Augment((0.0,) * 3, (1.0,) * 3, crop_padding=1)
    result = raw(batch, torch.Generator().manual_seed(0)).mul(255).round().to(torch.uint8)
    top, left, flip = placed(result, batch, padding=1).unbind(1)
    for moves in (top, left):
        counts = moves.bincount(minlength=3).double()
        assert bool(((counts - 400 / 3).abs() < 5 * (400 * 2 / 9) ** 0.5).all())
    assert abs(int(flip.sum()) - 200) < 5 * 10
    joint = (top * 6 + left * 2 + flip).bincount(minlength=18)
    assert int(joint.min()) > 0  # the three draws are independent


def test_augment_without_flip_never_flips_and_draws_the_same_crops():
    batch = images()
    plain, flipping = (
        Augment((0.0,) * 3, (1.0,) * 3, crop_padding=2, flip=flip) for flip in (False, True)
    )
    results = [
        augment(batch, torch.Generator().manual_seed(0)).mul(255).round().to(torch.uint8)
        for augment in (plain, flipping)
    ]
    without, with_flips = (placed(result, batch, padding=2) for result in results)
    assert int(without[:, 2].sum()) == 0
    assert int(with_flips[:, 2].sum()) > 0
    assert torch.equal(without[:, :2], with_flips[:, :2])


def test_augment_without_crop_or_flip_equals_normalise():
    batch = images()
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    augment = Augment(mean, std, crop_padding=0, flip=False)
    assert torch.equal(augment(batch, torch.Generator()), Normalise(mean, std)(batch))


def test_augment_is_pure_in_the_generator():
    batch, augment = images(), Augment((0.5,) * 3, (0.2,) * 3)
    before, state = batch.clone(), torch.get_rng_state()
    first, again, other = (augment(batch, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(batch, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_channel_statistics_equal_those_of_the_pixels():
    batch = images(batch=50)
    pixels = batch.double() / 255
    mean, std = channel_statistics(batch)
    expected = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3), correction=0)
    torch.testing.assert_close(torch.tensor(mean, dtype=torch.float64), expected[0])
    torch.testing.assert_close(torch.tensor(std, dtype=torch.float64), expected[1])


def test_digits_statistics():
    found = channel_statistics(digits().train.images)
    assert tuple(tuple(round(x, 4) for x in numbers) for numbers in found) == STATISTICS["digits"]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Normalise((0.5,), (0.5, 0.5)), "one number a channel"),
        (lambda: Normalise((), ()), "one number a channel"),
        (lambda: Normalise((0.5,), (0.0,)), "positive numbers"),
        (lambda: Augment((0.5,), (-1.0,)), "positive numbers"),
        (lambda: Augment((0.5,), (1.0,), crop_padding=-1), "crop_padding"),
        (
            lambda: Normalise((0.5,), (0.5,))(images()),
            r"\[batch, 1, height, width\], got .* 3, 8, 6",
        ),
        (lambda: Normalise((0.5,) * 3, (0.5,) * 3)(images().float()), "expected uint8"),
        (lambda: Augment((0.5,) * 3, (0.5,) * 3)(images(), None), "generator: .* got None"),
        (lambda: channel_statistics(images()[0]), "expected uint8"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(InputError, match=words):
        call()
