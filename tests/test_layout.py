"""The folders, the packaging and who imports whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]

# Each may import itself and what stands above it, and nothing below (design: arrows run one way).
LAYERS = [
    {"checks", "digest", "randomness", "users_code"},
    {"processes"},
    {"arguments", "user_errors", "inputs"},
    {"types"},
    {"checked_labels", "files", "kinds", "machine", "seeding", "shim"},
    {"gin_files", "losses", "models", "tasks"},
    {"conditioners", "theory"},
    {"meta_losses"},
    {"adjusters"},
    {"objective"},
    {"bilevel", "integrations", "pretrained"},
    {"training"},
    {"experiments", "recommendation"},
    {"bench", "diagnostics", "console", "config"},
    {"report"},
    {"runner", "stopping"},
    {"labels", "predict", "sweeps"},
    {"fitting"},
    {"sklearn"},
    {"reproduce"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, layer in enumerate(LAYERS) for name in layer}


def sources() -> list[tuple[str, Path]]:
    """Each Python file with the part of the package that it belongs to."""
    package = ROOT / "metaloss"
    ours = [(p.relative_to(package).parts[0], p) for p in package.rglob("*.py")]
    tasks = [("tasks", p) for p in (ROOT / "tasks").rglob("*.py")]
    return [(part.removesuffix(".py"), p) for part, p in ours + tasks if part != "__init__.py"]


@cache
def imported(path: Path) -> set[str]:
    """Every absolute module name that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def parts(path: Path) -> set[str]:
    return {n.split(".")[1] for n in imported(path) if n.startswith("metaloss.")} & set(LEVEL)


def test_every_part_has_a_layer() -> None:
    assert {part for part, _ in sources()} == set(LEVEL)


def test_arrows_run_one_way() -> None:
    wrong = [
        f"{path} imports metaloss.{other}"
        for part, path in sources()
        for other in parts(path) - {part}
        if LEVEL[other] >= LEVEL[part]
    ]
    assert wrong == []


# The entry points of own data read it as the tasks do.
OF_OWN_DATA = {"fitting", "labels", "predict"}


def test_metaloss_does_not_know_its_tasks() -> None:
    for part, path in sources():
        if part not in {"tasks", *OF_OWN_DATA}:
            assert "tasks" not in parts(path), path


def test_gin_is_imported_at_the_edge_alone() -> None:
    importers = {part for part, path in sources() if "gin" in imported(path)}
    assert importers == {"config"}


def test_packages_on_disk_are_packaged() -> None:
    on_disk = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "metaloss").rglob("__init__.py")
    }
    assert set(SETUPTOOLS["packages"]) == on_disk | {"metaloss.tasks", "metaloss.configs"}
    assert SETUPTOOLS["package-dir"] == {"metaloss.tasks": "tasks", "metaloss.configs": "gin"}


def test_gin_holds_data_alone() -> None:
    found = {path.suffix for path in (ROOT / "gin").rglob("*") if path.is_file()}
    assert found == {".gin"}


def test_tasks_are_flat_and_import_one_another_relatively() -> None:
    assert not [p for p in (ROOT / "tasks").iterdir() if p.is_dir() and p.name != "__pycache__"]
    for path in (ROOT / "tasks").glob("*.py"):
        assert "tasks" not in parts(path), path.name


def test_importing_metaloss_is_light() -> None:
    heavy = [
        "gin",
        "learn2learn",
        "matplotlib",
        "rich",
        "sklearn",
        "torch._dynamo",
        "torchopt",
        "torchvision",
        "typer",
    ]
    code = f"import sys, metaloss; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout.strip() == "[]"
