"""The import of torchvision, where its operators load and where they do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from metaloss.shim import import_torchvision

ROOT = Path(__file__).resolve().parents[1]


def run(code: str, *first_on_the_path: Path) -> str:
    """Run ``code`` in a fresh interpreter, where no operator is declared yet."""
    paths = [*map(str, first_on_the_path), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fake_torchvision(folder: Path, body: str) -> Path:
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(body)
    return folder


@pytest.mark.exhaustive
def test_the_package_comes_without_torchvision_and_the_shim_brings_it() -> None:
    code = """
import sys
import metaloss.shim
assert "torchvision" not in sys.modules
torchvision = metaloss.shim.import_torchvision()
import torch
from torchvision import datasets, transforms
assert torchvision.models.squeezenet1_1(num_classes=3)(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
assert transforms.ToTensor()(datasets.FakeData(1, (3, 8, 8))[0][0]).shape == (3, 8, 8)
"""
    run(code)


# What torchvision does at import whether or not its compiled library was loaded.
REGISTERS = """
import torch

@torch.library.register_fake("torchvision::nms")
def nms(dets, scores, iou_threshold):
    return scores

@torch.library.register_fake("torchvision::qnms")
def qnms(dets, scores, iou_threshold):
    return scores
"""

FAILS = """
try:
    import {name}
except RuntimeError as error:
    assert "torchvision::nms does not exist" in str(error)
else:
    raise AssertionError("the import was to fail on its own")
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("failed", "name"), [("", "torchvision"), ("torchvision", "timm"), ("timm", "torchvision")]
)
def test_after_metaloss_any_import_works(tmp_path: Path, failed: str, name: str) -> None:
    """Also after imports that failed, and that of a package that needs torchvision."""
    (tmp_path / "timm.py").write_text("import torchvision")
    code = f"""
{FAILS.format(name=failed) if failed else ""}
import sys, metaloss
assert "torchvision" not in sys.modules
import {name}
assert metaloss.shim.import_torchvision() is sys.modules["torchvision"]
import torch
assert torch.ops.torchvision.nms(*torch.zeros(2, 4, device="meta"), 0.5).shape == (4,)
"""
    run(code, fake_torchvision(tmp_path, REGISTERS))


@pytest.mark.exhaustive
def test_the_loader_stays_what_it_is() -> None:
    code = """
import importlib, importlib.util, inspect
import metaloss
first, second = (importlib.util.find_spec("torchvision") for _ in range(2))
assert type(first.loader).__name__ == "SourceFileLoader"
metaloss.shim.install()
import torchvision
assert importlib.reload(torchvision) is torchvision
assert "import" in inspect.getsource(torchvision)
"""
    run(code)


@pytest.mark.exhaustive
def test_nothing_is_declared_where_the_import_works(tmp_path: Path) -> None:
    code = """
import torch
import metaloss.shim
assert metaloss.shim.import_torchvision().marker == 1
print(hasattr(torch.ops.torchvision, "nms"))
"""
    assert run(code, fake_torchvision(tmp_path, "marker = 1")) == "False\n"


def test_its_absence_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)  # as an import finds nothing
    with pytest.raises(ImportError, match="pip install torchvision"):
        import_torchvision()


@pytest.mark.exhaustive
@pytest.mark.parametrize("error", ["RuntimeError('CUDA mismatch')", "ModuleNotFoundError('PIL')"])
def test_other_failures_pass_as_they_are(tmp_path: Path, error: str) -> None:
    code = """
import metaloss.shim
for _ in range(2):
    try:
        metaloss.shim.import_torchvision()
    except (RuntimeError, ModuleNotFoundError) as error:
        print(repr(error))
"""
    assert run(code, fake_torchvision(tmp_path, f"raise {error}")) == f"{error}\n" * 2
