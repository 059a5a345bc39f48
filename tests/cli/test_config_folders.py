"""Where a configuration looks for modules and other files, and that it leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gin
import pytest

from metaloss.checks import InputError
from metaloss.config import configuration
from metaloss.experiments import Experiment

FIRST_LINE = "from __gin__ import dynamic_registration\n"


def written(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder / "x.gin"


@pytest.mark.exhaustive
def test_a_file_of_the_users_does_not_stand_for_a_library(tmp_path: Path) -> None:
    """In a process of its own, where the library is not imported yet."""
    text = FIRST_LINE + "from metaloss import experiments\ninclude 'experiments/demo.gin'\n"
    path = written(tmp_path / "a", x_gin=text, sklearn_py="raise SystemExit('shadowed')\n")
    code = (
        "from metaloss.config import configuration\nfrom metaloss.experiments import Experiment\n"
        f"with configuration([{str(path)!r}]) as parsed:\n"
        "    print(parsed.build(Experiment).task(seed=0).num_classes)\n"
    )
    (tmp_path / "run.py").write_text(code)  # its own folder comes first, the current one does not
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py")],
        capture_output=True,
        text=True,
        cwd=path.parent,
        check=False,
    )
    assert done.stdout == "10\n", done.stderr


def test_files_beside_an_earlier_configuration_are_not_found(tmp_path: Path) -> None:
    include = "include 'common.gin'\n"
    first = written(tmp_path / "a", x_gin=include, common_gin="EPOCHS = 1\n")
    second = written(tmp_path / "b", x_gin=include)
    before = list(gin.config._LOCATION_PREFIXES)
    with configuration([first]) as parsed:
        assert "EPOCHS = 1" in parsed.text
    assert before == gin.config._LOCATION_PREFIXES
    with pytest.raises(InputError, match=r"common\.gin"), configuration([second]):
        pass


def test_files_beside_the_first_go_before_those_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = written(tmp_path / "a", x_gin="include 'c.gin'\n", c_gin="EPOCHS = 1\n")
    monkeypatch.chdir(written(tmp_path / "b", c_gin="EPOCHS = 2\n").parent)
    with configuration([first]) as parsed:
        assert "EPOCHS = 1" in parsed.text


def test_a_module_of_an_earlier_configuration_is_not_taken_for_its_own(tmp_path: Path) -> None:
    text = FIRST_LINE + "import shared_name_of_two\n"
    paths = []
    for name in "ab":
        paths.append(written(tmp_path / name, x_gin=text))
        (tmp_path / name / "shared_name_of_two.py").write_text("")
    try:
        for _ in range(2):
            with configuration([paths[0]]):
                pass
        message = r"b/shared_name.*imported .*a/shared_name.*rename it"
        with pytest.raises(InputError, match=message), configuration([paths[1]]):
            pass
    finally:
        sys.modules.pop("shared_name_of_two", None)


def test_a_folder_of_a_librarys_name_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as another checkout of this package in the current folder."""
    (tmp_path / "metaloss").mkdir()
    (tmp_path / "metaloss" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    with configuration(["experiments/demo.gin"]) as parsed:
        assert parsed.build(Experiment).recipe.epochs == 30


class TestBindings:
    @pytest.mark.parametrize(
        "bindings",
        [
            ["training.Recipe.optimizer = @optim.AdamW", "optim.AdamW.lr = 0.5"],
            ["optim.AdamW.lr = 0.5", "training.Recipe.optimizer = @optim.AdamW"],
        ],
    )
    def test_know_what_the_files_import(self, bindings: list[str]) -> None:
        with configuration(["experiments/demo.gin"], bindings) as parsed:
            made = parsed.build(Experiment).recipe.optimizer
            assert (made.__name__, "optim.AdamW.lr = 0.5" in parsed.text) == ("AdamW", True)

    @pytest.mark.parametrize(
        ("binding", "message"),
        [
            ("training.Recipe.optimizer = @optim.AdmW", "optim.* has no attribute AdmW"),
            ("training.Recipe.optimizer = @nowhere.AdamW", "No configurable matching"),
            ("training.Recipe.optimizer = @json.dumps", "No configurable matching"),
        ],
    )
    def test_and_nothing_else(self, binding: str, message: str) -> None:
        read = configuration(["experiments/demo.gin"], [binding])
        with pytest.raises(InputError, match=message), read:
            pass

    def test_a_name_of_two_modules_is_neither(self, tmp_path: Path) -> None:
        text = FIRST_LINE + "from metaloss.bench import cases as optim\n"
        path = written(tmp_path / "a", x_gin=text)
        binding = "training.Recipe.optimizer = @optim.Adagrad"
        read = configuration(["experiments/demo.gin", path], [binding])
        with pytest.raises(InputError, match="No configurable matching"), read:
            pass
