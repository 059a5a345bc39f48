"""The import of torchvision, where its operators load and where they do not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from metaloss.shim import import_torchvision

ROOT = Path(__file__).resolve().parents[1]

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

# Also after imports that failed, and that of a package that needs torchvision.
ANY_IMPORT = """
import sys, metaloss
assert "torchvision" not in sys.modules
import {name}
assert metaloss.shim.import_torchvision() is sys.modules["torchvision"]
import torch
assert torch.ops.torchvision.nms(*torch.zeros(2, 4, device="meta"), 0.5).shape == (4,)
"""

OTHER_FAILURES = """
import metaloss.shim
for _ in range(2):
    try:
        metaloss.shim.import_torchvision()
    except (RuntimeError, ModuleNotFoundError) as error:
        print(repr(error))
"""

# The torchvision that is found, if it is not the one that is installed; the program, and what it
# prints.
PROGRAMS: dict[str, tuple[str | None, str, str]] = {
    "the package comes without torchvision, and the shim brings it": (
        None,
        """
import sys
import metaloss.shim
assert "torchvision" not in sys.modules
torchvision = metaloss.shim.import_torchvision()
import torch
from torchvision import datasets, transforms
assert torchvision.models.squeezenet1_1(num_classes=3)(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
assert transforms.ToTensor()(datasets.FakeData(1, (3, 8, 8))[0][0]).shape == (3, 8, 8)
""",
        "",
    ),
    "after metaloss, torchvision": (REGISTERS, ANY_IMPORT.format(name="torchvision"), ""),
    "after metaloss, timm, where torchvision has failed": (
        REGISTERS,
        FAILS.format(name="torchvision") + ANY_IMPORT.format(name="timm"),
        "",
    ),
    "after metaloss, torchvision, where timm has failed": (
        REGISTERS,
        FAILS.format(name="timm") + ANY_IMPORT.format(name="torchvision"),
        "",
    ),
    "the loader stays what it is": (
        None,
        """
import importlib, importlib.util, inspect
import metaloss
first, second = (importlib.util.find_spec("torchvision") for _ in range(2))
assert type(first.loader).__name__ == "SourceFileLoader"
metaloss.shim.install()
import torchvision
assert importlib.reload(torchvision) is torchvision
assert "import" in inspect.getsource(torchvision)
""",
        "",
    ),
    "nothing is declared where the import works": (
        "marker = 1",
        """
import torch
import metaloss.shim
assert metaloss.shim.import_torchvision().marker == 1
print(hasattr(torch.ops.torchvision, "nms"))
""",
        "False\n",
    ),
    "another error passes as it is": (
        "raise RuntimeError('CUDA mismatch')",
        OTHER_FAILURES,
        "RuntimeError('CUDA mismatch')\n" * 2,
    ),
    "another module that is missing, too": (
        "raise ModuleNotFoundError('PIL')",
        OTHER_FAILURES,
        "ModuleNotFoundError('PIL')\n" * 2,
    ),
}

# It imports torch once, which takes seconds, and forks for each program.
FORKS = """
import json, os, sys, torch, torch._dynamo
assert not {"metaloss", "torchvision"} & set(sys.modules)
for folder, code in json.loads(sys.argv[1]):
    if os.fork() == 0:
        sys.path.insert(0, folder)
        os.dup2(os.open(f"{folder}/written", os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        exec(code, {})
        print("done")
        sys.exit()
    os.wait()
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each program writes in an interpreter of its own, where no operator is declared yet."""
    folders = {name: tmp_path_factory.mktemp("program") for name in PROGRAMS}
    for name, (torchvision, _, _) in PROGRAMS.items():
        if torchvision is not None:
            (folders[name] / "torchvision").mkdir()
            (folders[name] / "torchvision" / "__init__.py").write_text(torchvision)
            (folders[name] / "timm.py").write_text("import torchvision")
    programs = [[str(folders[name]), code] for name, (_, code, _) in PROGRAMS.items()]
    command = [sys.executable, "-W", "error", "-c", FORKS, json.dumps(programs)]
    subprocess.run(command, check=True, cwd=ROOT)
    return {name: (folders[name] / "written").read_text() for name in PROGRAMS}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", PROGRAMS)
def test_in_an_interpreter_of_its_own(name: str, written: dict[str, str]) -> None:
    assert written[name] == PROGRAMS[name][2] + "done\n"


def test_its_absence_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)  # as an import finds nothing
    with pytest.raises(ImportError, match="pip install torchvision"):
        import_torchvision()
