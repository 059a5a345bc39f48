"""A run's network in plain torch: no part of metaloss but the class of the network."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file

from metaloss.models import SmallCNN  # or the class of your own that the run trained


def probabilities(run: Path, file: Path) -> dict[str, float]:
    """The probability of each class for one image, by the network in RUN/METHOD/seed-N."""
    said = json.loads((run / "inputs.json").read_text(encoding="utf-8"))
    model = SmallCNN(3, len(said["class_names"]))
    model.load_state_dict(load_file(run / "model.safetensors"))
    model.eval()
    _, height, width = said["sample_shape"]
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)  # resize: "cover"
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(said[name]).view(-1, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        p = model((pixels - mean).div(std).unsqueeze(0)).softmax(dim=1)[0]
    return dict(zip(said["class_names"], p.tolist(), strict=True))
