"""Miniatures of published data sets, written in their own layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

TINY_CLASSES = {"n02": "crane", "n01": "goldfish, Carassius auratus", "n03": "crane"}
DISHES = ("apple_pie", "baby_back_ribs", "baklava")
KINDS = ("aggre_label", "worse_label", "random_label1", "random_label2", "random_label3")


def write_image(path: Path, seed: int, size: tuple[int, int] = (64, 64)) -> None:
    """Write a JPEG of random colours, at least 8 pixels wide each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    blocks = draw.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    Image.fromarray(blocks.repeat(8, axis=0).repeat(8, axis=1)).save(path, quality=95)


def write_lines(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def pixels(path: str | Path) -> torch.Tensor:
    """What a viewer shows, ``[3, height, width]``, uint8."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def write_tiny_imagenet(root: Path) -> Path:
    """Three classes, two of them with the same words; 4 training and 2 validation images each."""
    folder = root / "tiny-imagenet-200"
    write_lines(folder / "wnids.txt", *TINY_CLASSES)
    write_lines(
        folder / "words.txt",
        "n00\tentity",
        *(f"{wnid}\t{words}" for wnid, words in TINY_CLASSES.items()),
    )
    for wnid in TINY_CLASSES:
        for k in range(4):
            name = f"{wnid}_{k}.JPEG"
            write_image(folder / "train" / wnid / "images" / name, seed=hash_of(name))
        write_lines(folder / "train" / wnid / f"{wnid}_boxes.txt", f"{wnid}_0.JPEG\t0\t0\t63\t63")
    lines = []
    for k, wnid in enumerate([*TINY_CLASSES, *TINY_CLASSES]):
        write_image(folder / "val" / "images" / f"val_{k}.JPEG", seed=100 + k)
        lines.append(f"val_{k}.JPEG\t{wnid}\t0\t0\t62\t62")
    write_lines(folder / "val" / "val_annotations.txt", *lines)
    write_image(folder / "test" / "images" / "test_0.JPEG", seed=200)
    return folder


def write_animal10n(root: Path) -> Path:
    """Twenty training and ten test images."""
    for part, count in (("training", 20), ("testing", 10)):
        for k in range(count):
            write_image(root / part / f"{k % 10}_{1000 + 7 * k}.jpg", seed=k)
    return root


def write_food101n(root: Path) -> tuple[Path, Path]:
    """Three dishes: six images of each to train on, three verified, and two of each to test on."""
    folder, other = root / "Food-101N_release", root / "food-101"
    keys = [f"{dish}/{dish[:3]}{k:02d}.jpg" for dish in DISHES for k in range(6)]
    for k, key in enumerate(keys):
        write_image(folder / "images" / key, seed=k, size=(40 + 8 * (k % 3), 48))
    write_lines(folder / "meta" / "classes.txt", "class_name", *DISHES)
    write_lines(folder / "meta" / "imagelist.tsv", "class_name/key", *keys)
    header = "class_name/key\tverification_label"
    verified = [f"{key}\t{int(key[-5] != '2')}" for key in keys if key[-5] in "012"]
    # As published: one verified image has another class in the list of all images.
    verified.append("baklava/other.jpg\t1")
    write_lines(folder / "meta" / "verified_train.tsv", header, *verified)
    write_lines(folder / "meta" / "verified_val.tsv", header, f"{keys[3]}\t1", f"{keys[9]}\t0")
    tested = [f"{dish}/{100 + k}" for dish in DISHES for k in range(2)]
    for k, key in enumerate(tested):
        write_image(other / "images" / f"{key}.jpg", seed=50 + k, size=(48, 40))
    write_lines(other / "meta" / "test.txt", *tested)
    write_lines(other / "meta" / "classes.txt", *DISHES)
    return folder, other


def write_clothing1m(root: Path) -> Path:
    """57 noisy images, in classes of 1 to 8, and 14 checked ones for each of the other lists."""
    write_lines(root / "category_names_eng.txt", *(f"Garment {k}" for k in range(14)))
    noisy = [label for label in range(14) for _ in range(1 + label % 8)]
    lists = {"noisy_train": noisy} | {
        f"clean_{part}": list(range(14)) for part in ("train", "val", "test")
    }
    labels: dict[str, list[str]] = {"noisy": [], "clean": []}
    for part, given in lists.items():
        keys = [f"images/{k % 10}/{part}/{k},{k + 7}.jpg" for k in range(len(given))]
        for k, key in enumerate(keys):
            write_image(root / key, seed=k, size=(48, 32))
        write_lines(root / f"{part}_key_list.txt", *keys)
        labels[part[:5]] += [f"{key} {label}" for key, label in zip(keys, given, strict=True)]
    write_lines(root / "noisy_label_kv.txt", *labels["noisy"])
    write_lines(root / "clean_label_kv.txt", *labels["clean"])
    return root


def write_human_labels(path: Path, clean: list[int], classes: int) -> dict[str, np.ndarray]:
    """Write the published arrays with ``torch.save``; every kind has other wrong labels."""
    right = np.array(clean)
    kinds = KINDS if classes == 10 else ("noisy_label",)
    arrays = {"clean_label": right}
    for k, kind in enumerate(kinds):
        wrong = np.random.default_rng(k).random(len(right)) < 0.4
        wrong[k % len(right)] = True
        arrays[kind] = np.where(wrong, (right + 1 + k) % classes, right)
    torch.save(arrays, path)
    return arrays


def hash_of(name: str) -> int:
    return sum(map(ord, name))
