"""Images rotated, shifted, scaled and inverted at random."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from PIL import Image

from metaloss.checks import InputError
from metaloss.tasks import ImageSet, Source, digits, image_files, varied

STILL = {"turn": 0.0, "shift": 0.0, "zoom": 1.0, "invert": 0.0}


def pictures(count: int = 60, size: int = 9) -> Source[ImageSet]:
    images = torch.randint(256, (count, 2, size, size), dtype=torch.uint8)
    targets = torch.arange(count) % 3
    train = ImageSet(images, targets, ("a", "b", "c"), "pictures")
    return Source(train, train.subset(torch.arange(count // 2)))


def dots(count: int = 4000, size: int = 21) -> Source[ImageSet]:
    """Images of one bright pixel, a quarter of the side to the right of the centre."""
    images = torch.zeros(count, 1, size, size, dtype=torch.uint8)
    images[:, :, size // 2, size // 2 + 5] = 255
    return Source(ImageSet(images, torch.arange(count) % 2, ("a", "b"), "dots"))


def places(source: Source[ImageSet]) -> torch.Tensor:
    """Return the centre of brightness of each image, as x and y from the image's centre."""
    images = source.train.images[:, 0].float()
    weights = images / images.sum(dim=(1, 2), keepdim=True)
    steps = torch.arange(images.shape[1]) - images.shape[1] // 2
    return torch.stack([weights.sum(1) @ steps.float(), weights.sum(2) @ steps.float()], dim=1)


def test_zero_strengths_change_nothing() -> None:
    source = pictures()
    same = varied(data=source, **STILL)
    assert torch.equal(same.train.images, source.train.images)
    assert torch.equal(same.test.images, source.test.images)
    assert same.clean is None
    assert torch.equal(same.train.targets, source.train.targets)
    assert same.train.class_names == source.train.class_names


def test_some_images_are_inverted() -> None:
    source = pictures(count=2500)
    found = varied(data=lambda: source, **STILL | {"invert": 0.3}).train.images
    before = source.train.images
    inverted = (found == 255 - before).flatten(1).all(1)
    assert torch.equal(found[~inverted], before[~inverted])
    assert 0.25 < inverted.float().mean() < 0.35


def test_images_rotate_about_their_centre() -> None:
    found = places(varied(data=dots(), **STILL | {"turn": 90.0}))
    angles = torch.atan2(found[:, 1], found[:, 0]) * 180 / torch.pi
    assert 85 < angles.max() < 95 and -95 < angles.min() < -85
    assert abs(angles.mean()) < 5
    assert torch.allclose(found.norm(dim=1), torch.tensor(5.0), atol=0.6)


def test_images_shift_and_scale() -> None:
    moved = places(varied(data=dots(), **STILL | {"shift": 0.2})) - torch.tensor([5.0, 0.0])
    assert 3.9 < moved.max() < 4.4 and -4.4 < moved.min() < -3.9
    size = places(varied(data=dots(), **STILL | {"zoom": 1.5}))[:, 0] / 5
    assert 1.4 < size.max() < 1.6 and 0.58 < size.min() < 0.72


def test_images_can_be_resized() -> None:
    source = pictures(size=5)
    blocks = source.train.images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    train = replace(source.train, images=blocks)
    doubled = Source(train, train.subset(torch.arange(10)))
    small = varied(data=doubled, **STILL, size=5)
    assert torch.equal(small.train.images, source.train.images)
    assert torch.equal(small.test.images, source.test.images[:10])


def test_images_change_independently_and_by_the_seed() -> None:
    once, again, other = (varied(data=dots, seed=seed).train.images for seed in (0, 0, 1))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert len(once.flatten(1).unique(dim=0)) > 1000


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 0}, "size: expected a whole number of at least 1, got 0"),
        ({"turn": 181.0}, "turn: expected a number in [0, 180], got 181"),
        ({"shift": -0.1}, "shift: expected"),
        ({"zoom": 0.5}, "zoom: expected at least 1, got 0.5"),
        ({"invert": 1.5}, "invert: expected"),
    ],
)
def test_bad_arguments(changed: dict[str, float], message: str) -> None:
    with pytest.raises(InputError) as raised:
        varied(data=digits, **changed)
    assert message in str(raised.value)


def test_inputs_that_are_not_images_are_refused() -> None:
    numbers = ImageSet(torch.randn(4, 3), torch.arange(4) % 2, ("a", "b"), "numbers")
    with pytest.raises(InputError, match="numbers: expected uint8 images in memory to vary, got"):
        varied(data=Source(numbers))


@pytest.mark.bad_input
def test_image_files_are_refused(tmp_path) -> None:
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(tmp_path / part / name / "0.png")
    with pytest.raises(InputError, match="expected uint8 images in memory to vary, got FolderSet"):
        varied(data=partial(image_files, tmp_path, 4))
