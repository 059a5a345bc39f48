"""torchvision's classifiers with a head for the task: no network is touched."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from metaloss.checks import InputError
from metaloss.models import (
    replace_head,
    resnet50,
    torchvision_model,
    vgg19_bn,
)
from metaloss.shim import import_torchvision
from tests.helpers.exhaustive import mostly_exhaustive

# One of each family, with the features that its head takes.
HEADS = {
    "alexnet": 4096,
    "convnext_tiny": 768,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "mnasnet0_5": 1280,
    "mobilenet_v3_small": 1024,
    "resnet18": 512,
    "shufflenet_v2_x0_5": 1024,
    "squeezenet1_0": 512,
    "swin_t": 768,
    "vgg11_bn": 4096,
    "vit_b_32": 768,
}
FEW = ("alexnet", "convnext_tiny", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_0", "vit_b_32")


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", mostly_exhaustive(HEADS.keys(), *FEW))
def test_the_head_alone_differs_from_the_published_model(name: str) -> None:
    with torch.device("meta"):
        model = torchvision_model(name, 7)
        assert model(torch.zeros(2, 3, 224, 224)).shape == (2, 7)
    published = import_torchvision().models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert count(model) == published - (1000 - 7) * (HEADS[name] + 1)


def test_the_papers_networks() -> None:
    with torch.device("meta"):
        assert count(vgg19_bn(10)) == 143_678_248 - 990 * 4097
        assert count(resnet50(14, pretrained=False)) == 25_557_032 - 986 * 2049
        assert vgg19_bn(10)(torch.zeros(2, 3, 64, 64)).shape == (2, 10)
        assert resnet50(14, pretrained=False)(torch.zeros(2, 3, 224, 224)).shape == (2, 14)


@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
@pytest.mark.parametrize(("name", "size"), [("googlenet", 224), ("inception_v3", 299)])
def test_auxiliary_classifiers_are_taken_off(name: str, size: int) -> None:
    with torch.device("meta"):
        model = torchvision_model(name, 7).train()
        outputs = model(torch.zeros(2, 3, size, size))
    assert isinstance(outputs, torch.Tensor)
    assert outputs.shape == (2, 7)
    assert not [name for name, _ in model.named_parameters() if name.lower().startswith("aux")]


def test_activations_do_not_write_in_place() -> None:
    with torch.device("meta"):
        model = torchvision_model("resnet18", 7)
        original = import_torchvision().models.resnet18()
    assert any(getattr(module, "inplace", False) for module in original.modules())
    assert not any(getattr(module, "inplace", False) for module in model.modules())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where torch looks for weights before it downloads any, which it cannot."""

    def refuse(url: str, *_: object, **__: object) -> None:
        raise URLError(f"no route to {url}")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def test_pretrained_weights_are_loaded_under_a_fresh_head(hub: Path) -> None:
    models = import_torchvision().models
    name = "shufflenet_v2_x0_5"
    stored = models.get_model(name).state_dict()
    torch.save(stored, hub / models.get_model_weights(name).DEFAULT.url.rpartition("/")[2])
    loaded = torchvision_model(name, 7, weights="DEFAULT").state_dict()
    assert loaded.keys() == stored.keys()
    assert loaded["fc.weight"].shape == (7, 1024)
    for key in stored.keys() - {"fc.weight", "fc.bias"}:
        assert torch.equal(loaded[key], stored[key]), key


@pytest.mark.usefixtures("hub")
def test_weights_that_cannot_be_downloaded_are_named() -> None:
    said = r"resnet50-0676ba61\.pth.*checkpoints.*no route"
    with torch.device("meta"), pytest.raises(InputError, match=said) as caught:
        resnet50(14)
    assert "\n" not in str(caught.value)


def test_a_broken_file_of_weights_is_named(hub: Path) -> None:
    (hub / "resnet50-0676ba61.pth").write_bytes(b"not weights")
    with torch.device("meta"), pytest.raises(InputError, match=r"resnet50-0676ba61\.pth"):
        resnet50(14)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.usefixtures("hub")
def test_weights_are_read_from_a_file(tmp_path: Path, suffix: str) -> None:
    stored = import_torchvision().models.get_model("shufflenet_v2_x0_5").state_dict()
    path = tmp_path / f"own{suffix}"
    save_file(stored, path) if suffix == ".safetensors" else torch.save(stored, path)
    for weights in (path, str(path)):
        loaded = torchvision_model("shufflenet_v2_x0_5", 7, weights=weights).state_dict()
        assert loaded["fc.weight"].shape == (7, 1024)
        for key in stored.keys() - {"fc.weight", "fc.bias"}:
            assert torch.equal(loaded[key], stored[key]), key


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "found no such file"),
        (b"not weights", "cannot read it: "),
        ({"fc.weight": torch.zeros(1)}, r"337 are missing, such as conv1\.0\.weight"),
        ({"more": torch.zeros(1)}, "1 are unknown, such as more"),
        ({"fc.bias": torch.zeros(7)}, r"1 are of another shape, such as fc\.bias"),
        ({"state_dict": {"fc.bias": torch.zeros(7)}}, "tensors by name, got a dict"),
        ([torch.zeros(1)], "tensors by name, got a list"),
    ],
)
def test_a_file_of_other_weights_is_refused(tmp_path: Path, content: object, words: str) -> None:
    path = tmp_path / "own.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        whole = import_torchvision().models.get_model("shufflenet_v2_x0_5").state_dict()
        partial = isinstance(content, list) or content.keys() & {"fc.weight", "state_dict"}
        torch.save(content if partial else {**whole, **content}, path)
    with pytest.raises(InputError, match=rf"own\.pth: expected .*{words}") as caught:
        torchvision_model("shufflenet_v2_x0_5", 7, weights=path)
    assert "\n" not in str(caught.value)


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(InputError, match=r"IMAGENET1K_V1, IMAGENET1K_V2.* got 'V3'"):
        torchvision_model("resnet50", 10, weights="V3")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet_18", "got 'resnet_18'; did you mean resnet18"),
        ("raft_large", "classifier"),  # torchvision has it, but it classifies nothing
        ("", "got ''"),
    ],
)
def test_an_unknown_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        torchvision_model(name, 10)


@pytest.mark.parametrize("build", [vgg19_bn, resnet50, lambda n: torchvision_model("vgg11", n)])
def test_one_class_is_refused(build: object) -> None:
    with pytest.raises(InputError, match="num_classes"):
        build(1)


def test_replace_head_keeps_kind_dtype_and_bias() -> None:
    inner = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1000, bias=False)).double()
    kept = inner[0]
    model = nn.Sequential(inner, nn.Softplus())
    assert replace_head(model, 5) is model
    assert inner[0] is kept
    assert (inner[2].in_features, inner[2].out_features, inner[2].bias) == (3, 5, None)
    assert inner[2].weight.dtype == torch.float64


@pytest.mark.parametrize(
    "model",
    [nn.Sequential(nn.ReLU()), nn.Sequential(nn.Conv2d(3, 1000, kernel_size=3))],
    ids=["none", "3x3"],
)
def test_a_model_without_a_head_is_refused(model: nn.Module) -> None:
    with pytest.raises(InputError, match="model: expected"):
        replace_head(model, 5)
