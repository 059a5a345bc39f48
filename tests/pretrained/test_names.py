"""Loading by name: a folder, an adjuster of the package, a repository of the Hub."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

import metaloss
from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.conditioners import Margin
from metaloss.config import configuration, find
from metaloss.experiments import Comparison, Conventional, MetaTraining
from metaloss.losses import GCE, CrossEntropy, toward_defaults
from metaloss.pretrained import save_adjuster, upload
from metaloss.pretrained.bundled import FAMILIES, FOLDER, SHORT


def saved(folder: Path) -> AdjustedLoss:
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    save_adjuster(folder, criterion)
    return criterion


def same(ours: AdjustedLoss, theirs: AdjustedLoss) -> bool:
    outputs, targets = torch.randn(6, 3), torch.arange(6) % 3
    return torch.equal(ours.hparams(outputs, targets), theirs.hparams(outputs, targets))


class TestThoseOfThePackage:
    @pytest.mark.parametrize("adjuster", metaloss.list_pretrained(), ids=lambda a: a.name)
    def test_can_be_used_at_once(self, adjuster) -> None:
        criterion = metaloss.from_pretrained(adjuster.name)
        assert criterion.loss.family == adjuster.loss
        outputs = torch.randn(50, 10, requires_grad=True)
        targets = torch.arange(50) % 10
        criterion.prepare(targets, 10)
        criterion.progress(0.0)
        criterion(outputs, targets, torch.arange(50)).backward()
        assert outputs.grad.isfinite().all()

    @pytest.mark.parametrize("adjuster", metaloss.list_pretrained(), ids=lambda a: a.name)
    def test_cards_say_where_it_comes_from(self, adjuster) -> None:
        about = adjuster.card["about"]
        assert {
            "source",
            "tasks",
            "network",
            "epochs",
            "seed",
            "versions",
            "config",
            "limits",
            "held_out",
        } <= set(about)
        assert find(about["config"]).is_file()

    @pytest.mark.parametrize("adjuster", metaloss.list_pretrained(), ids=lambda a: a.name)
    def test_cards_have_a_table_of_tasks_held_out(self, adjuster) -> None:
        """The tasks of the configuration, or of the command that the card names."""
        about = adjuster.card["about"]
        table = about["held_out"]
        assert list(table) == ["CE", adjuster.loss, f"transferred {about['method']}"]
        tasks, *others = (list(row) for row in table.values())
        assert all(other == tasks for other in others)
        assert about["held_out_seeds"] == ([0, 1, 2] if "held_out_from" in about else [0])
        if "held_out_from" in about:
            _, _, file, *_ = about["held_out_from"].split()
            with configuration([file], ["DATA = 'nowhere'"]) as config:
                specs = config.build(
                    Comparison, methods=[Conventional(name="CE", loss=CrossEntropy())]
                ).tasks
            assert tasks == [f"fashion-mnist-{spec.name}" for spec in specs]
            return
        with configuration([about["config"]], ["DATA = 'nowhere'"]) as config:
            assert tasks == [spec.name for spec in config.build(MetaTraining).held_out]

    @pytest.mark.parametrize("adjuster", metaloss.list_pretrained(), ids=lambda a: a.name)
    def test_cards_agree_with_the_configuration_they_name(self, adjuster) -> None:
        about, loaded = adjuster.card["about"], metaloss.from_pretrained(adjuster.name)
        with configuration([about["config"]], ["DATA = 'nowhere'"]) as config:
            training = config.build(MetaTraining)
            (method,) = [m for m in training.methods if m.name == about["method"]]
            strength = training.strengths.get(method.name, 1.0)
            assert about.get("strength", 1.0) == strength
            assert about["epochs"] == training.recipe.epochs
            assert about["limits"] == training.about["limits"]
            assert repr(loaded.conditioner) == repr(method.conditioner or Margin())
            assert loaded.adjuster.until == training.recipe.snapshots
            for found, made in zip(
                loaded.loss.hyperparameters,
                toward_defaults(method.loss, strength).hyperparameters,
                strict=True,
            ):
                assert (found.name, found.default) == (made.name, made.default)
                assert (found.low, found.high) == pytest.approx((made.low, made.high))

    def test_all_four_families(self) -> None:
        """For each data set one that needs ids, and one that does not, under a short name."""
        found = {
            (a.loss, a.source, a.reads == "MarginStatistics") for a in metaloss.list_pretrained()
        }
        kinds = (("Fashion-MNIST", False), ("CIFAR-10", False), ("Fashion-MNIST", True))
        assert found == {(loss, *kind) for loss in FAMILIES for kind in kinds}
        assert len(metaloss.list_pretrained()) == len(found)
        assert set(SHORT.values()) <= {a.name for a in metaloss.list_pretrained()}

    @pytest.mark.parametrize(
        "adjuster",
        [a for a in metaloss.list_pretrained() if "ClassMargins" in a.reads],
        ids=lambda a: a.name,
    )
    def test_those_told_of_classes_know_who_lost_labels_to_whom(self, adjuster) -> None:
        """With all else equal, the loss trusts a label more if its class lost samples to others."""
        criterion = metaloss.from_pretrained(adjuster.name).eval()
        sizes = criterion.conditioner.conditioners[3:]  # of margins, where it is told of them
        if sizes:  # such an adjuster does so in mid-training; at the end JS's and GCE's hardly do
            criterion.progress(0.5)
        outputs = torch.tensor([[0.0, 2.0, -1.0]])  # 2 short of the label's class
        label, index = torch.tensor([0]), torch.tensor([0])
        slopes = []
        for margins in ({0: -1.0, 1: 5.0, 2: 2.0}, {0: 5.0, 1: -1.0, 2: 2.0}):
            criterion.prepare(label, 3)
            for size in sizes:
                size.mean.fill_(5.0)  # of a network that knows its data
            for c, margin in margins.items():  # as if so far its class had had these
                seen = torch.full((1, 3), -50.0)
                seen[0, c], seen[0, (c + 1) % 3] = margin, 0.0
                criterion.conditioner.conditioners[2].observe(seen, torch.tensor([c]))
            z = outputs.clone().requires_grad_()
            criterion.losses(z, label, index).sum().backward()
            slopes.append(-z.grad[0, 0].item())
        robbed, robber = slopes
        assert robbed > 1.1 * robber

    def test_together_they_are_small(self) -> None:
        assert sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file()) < 200_000


@pytest.mark.parametrize("short", ["gce", "js", "polysoft", "sl", "SL"])
def test_a_short_name_is_an_adjuster_that_needs_nothing_else(short: str) -> None:
    """No ids, no ``prepare``, any number of classes, and few or many samples."""
    torch.manual_seed(0)
    criterion = metaloss.from_pretrained(short, total_steps=4)
    assert criterion.loss.family.lower() == short.lower()
    assert not criterion.conditioner.needs_index
    for size in (1, 7, 64, 3):
        outputs = torch.randn(size, 5, requires_grad=True)
        criterion(outputs, torch.randint(5, (size,))).backward()
        assert outputs.grad.isfinite().all() and outputs.grad.abs().sum() > 0
    assert criterion.adjuster.current == len(criterion.adjuster.until) - 1
    with pytest.raises(InputError, match=r"outputs: expected 5 classes, .* got 6"):
        criterion(torch.randn(4, 6), torch.arange(4))


@pytest.mark.parametrize("name", ["focal", "TaylorCE", "taylor", "weighted_ce", "mw_net", "ce"])
def test_a_family_without_an_adjuster_says_so(name: str) -> None:
    with pytest.raises(
        InputError,
        match=rf"{name}: expected a loss with a bundled adjuster \(gce, js, polysoft, sl\), got",
    ):
        metaloss.from_pretrained(name)


def test_a_folder_comes_first(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    criterion = saved(tmp_path / "gce-fashion-mnist-statistics")
    assert same(metaloss.from_pretrained("gce-fashion-mnist-statistics"), criterion)


@pytest.mark.parametrize("name", ["gce-imagenet", "", "a/b/c", "./mine", Path("user/name")])
def test_an_unknown_name_says_which_there_are(name) -> None:
    with pytest.raises(
        InputError,
        match=r"expected the folder .*one of gce, js, polysoft, sl \(metaloss adjusters",
    ):
        metaloss.from_pretrained(name)


@pytest.mark.parametrize("name", ["", None, 3])
@pytest.mark.bad_input
def test_no_name(name: object) -> None:
    with pytest.raises(InputError, match=f"name: expected the folder .*gce, .*got {name!r}"):
        metaloss.from_pretrained(name)


@pytest.mark.parametrize("name", ["gce", "gce-fashion-mnist-statistics"])
def test_a_folder_of_something_else_does_not_hide_one_of_the_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert metaloss.from_pretrained(name).loss.family == "GCE"


def test_a_file_is_not_a_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "mine")
    with pytest.raises(
        InputError, match=r"expected the folder .*, got a file; did you mean mine\?"
    ):
        metaloss.from_pretrained("mine/card.json")


class TestTheHub:
    @pytest.fixture
    def hub(self, monkeypatch, tmp_path) -> ModuleType:
        """A fake Hub with a folder for each repository."""
        fake = ModuleType("huggingface_hub")

        class HfHubHTTPError(Exception):
            pass

        def snapshot_download(repository, allow_patterns):
            assert sorted(allow_patterns) == ["adjuster.safetensors", "card.json"]
            if not (tmp_path / repository).is_dir():
                raise HfHubHTTPError("404 Client Error\nmore")
            return str(tmp_path / repository)

        def create_repo(repository, exist_ok):
            (tmp_path / repository).mkdir(parents=True, exist_ok=exist_ok)

        def upload_folder(repo_id, folder_path, allow_patterns):
            for name in allow_patterns:
                (tmp_path / repo_id / name).write_bytes((folder_path / name).read_bytes())

        fake.snapshot_download = snapshot_download
        fake.create_repo = create_repo
        fake.upload_folder = upload_folder
        fake.errors = SimpleNamespace(HfHubHTTPError=HfHubHTTPError)
        monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
        return fake

    def test_there_and_back(self, hub, tmp_path) -> None:
        criterion = saved(tmp_path / "mine")
        (tmp_path / "mine" / "secret.txt").write_text("stays here")
        upload(tmp_path / "mine", "user/name")
        assert same(metaloss.from_pretrained("user/name"), criterion)
        assert not (tmp_path / "user" / "name" / "secret.txt").exists()

    def test_what_is_not_there(self, hub, tmp_path) -> None:
        with pytest.raises(
            InputError, match=r"user/other: expected a folder, or a repository.*404 Client Error"
        ):
            metaloss.from_pretrained("user/other")
        with pytest.raises(InputError, match=r"got no adjuster\.safetensors there"):
            upload(tmp_path, "user/name")

    def test_without_the_package(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(
            InputError, match=r"user/name: expected a folder, got none.*pip install huggingface_hub"
        ):
            metaloss.from_pretrained("user/name")
