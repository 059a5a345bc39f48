"""The commands that run grids, as a user types them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from metaloss.reproduce import adjusters, reproduction
from metaloss.sweeps import local
from metaloss.sweeps.jobs import Job
from metaloss.sweeps.sweep import Outcome
from tests.conftest import Command
from tests.reproduce.commands import run, scores
from tests.sweeps.grids import written


class TestSweep:
    def test_runs_and_then_finds_them_finished(self, tmp_path: Path) -> None:
        grid, out = written(tmp_path), str(tmp_path / "out")
        shown = run("sweep", grid, "--out", out)
        assert f"{out}: 2 runs, 0 of them finished" in shown.replace("\n", "")
        found = scores(tmp_path / "out")
        assert set(found) == {"CE", "GCE"}
        for ending in ("md", "tex", "png"):
            assert (tmp_path / "out" / f"results.{ending}").stat().st_size > 0
        again = run("sweep", grid, "--out", out)
        assert f"{out}: 2 runs, 2 of them finished" in again.replace("\n", "")
        assert scores(tmp_path / "out") == found

    def test_some_runs_with_another_binding(self, tmp_path: Path) -> None:
        grid, out = written(tmp_path), str(tmp_path / "out")
        chosen = ["--only", "method=CE", "--gin_param", "NOISE_RATE = 0.1"]
        run("sweep", grid, "--out", out, *chosen)
        assert set(scores(tmp_path / "out")) == {"CE"}
        config = next((tmp_path / "out").glob("CE/seed-0/config.gin")).read_text()
        assert "NOISE_RATE = 0.1" in config

    def test_a_failed_run_is_said_and_is_the_exit_code(self, tmp_path: Path) -> None:
        grid = written(tmp_path)
        broken = ["--only", "method=CE", "--gin_param", "models.MLP.in_features = 3"]
        shown = run("sweep", grid, "--out", str(tmp_path / "out"), *broken, code=1)
        assert shown.count("CE, seed 0: ") == 1 and "failed: CE, seed 0: " in shown
        assert "1 run failed" in shown

    def test_resources_are_for_ray(self, tmp_path: Path, refused: Callable[..., str]) -> None:
        words = ["--out", str(tmp_path / "out"), "--gpus", "0.25", "--retries", "3"]
        line = refused("sweep", "reproduce/table1_smoke.gin", *words)
        assert line.endswith("--gpus, --retries: expected --ray as well, got none")

    def test_stopped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_main: Command
    ) -> None:
        def stopped(*_: object) -> None:
            signal.raise_signal(signal.SIGTERM)

        grid, out = written(tmp_path), str(tmp_path / "out")
        run("sweep", grid, "--out", out, "--only", "method=CE")
        monkeypatch.setattr(local, "attempt", stopped)
        code, _, errors = run_main("sweep", grid, "--out", out)
        assert code == 128 + signal.SIGTERM
        assert errors.endswith("stopped; the same command goes on\n")
        assert set(scores(tmp_path / "out")) == {"CE"}  # the table has what is finished

    def test_words_that_are_no_choice(self, tmp_path: Path, refused: Callable[..., str]) -> None:
        line = refused("sweep", "reproduce/table1_smoke.gin", "--out", "o", "--only", "CE")
        assert line.endswith("--only: expected AXIS=PATTERN, such as 'method=A-*', got 'CE'")


class TestReproduce:
    def test_a_table_beside_the_papers_and_nothing_beside_the_scores_of_digits(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "out"
        shown = run("reproduce", "table2", "--out", str(out), "--only", "method=GCE")
        assert "57.41" not in shown  # GCE in Table 2, of another data set
        assert [line["published"] for line in scores(out / "table2").values()] == [""]
        monkeypatch.setattr(reproduction, "UNPUBLISHED", ())
        shown = run("reproduce", "table2", "--out", str(out), "--only", "method=oracle GCE")
        assert "57.41" in shown
        found = scores(out / "table2")
        assert set(found) == {"GCE", "oracle GCE"}  # what was made before is still there
        assert (found["GCE"]["mark"], found["oracle GCE"]["mark"]) == ("best", "")
        gce = found["GCE"]
        assert (gce["published"], gce["published_std"]) == ("57.41", "0.34")
        assert float(gce["difference"]) == pytest.approx(float(gce["mean"]) - 57.41, abs=1e-3)

    def test_runs_with_other_settings_leave_the_table(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        chosen = ["reproduce", "table2", "--out", str(out), "--only", "method=CE"]
        run(*chosen)
        before = (out / "table2" / "results.csv").read_bytes()
        shown = run(*chosen, "--gin_param", "EPOCHS = 1", code=1)
        assert "another run was begun here" in shown
        assert "no run is finished, so there is no table; results.csv, " in shown
        assert (out / "table2" / "results.csv").read_bytes() == before
        assert "1 run, 1 of them finished" in run(*chosen)

    def test_one_of_the_data_sets_of_a_table(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        chosen = ["--only", "data=food*", "--only", "method=CE"]
        run("reproduce", "table5", "--out", str(out), *chosen)
        assert [folder.name for folder in out.iterdir()] == ["table5_food101n"]

    def test_a_noise_that_one_data_set_has(
        self, tmp_path: Path, refused: Callable[..., str]
    ) -> None:
        chosen = ["--only", "noise=asymmetric 0.4", "--only", "method=CE", "--only", "seed=0"]
        at = ["--scale", "paper", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
        run("reproduce", "table1", *at, *chosen, code=1)  # there are no images
        assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["table1_cifar10"]
        line = refused("reproduce", "table1", *at, "--only", "noise=pink")
        assert "only: expected one of symmetric 0, " in line and "got 'pink'" in line

    def test_an_unknown_data_set(self, refused: Callable[..., str]) -> None:
        line = refused("reproduce", "table5", "--only", "data=CIFAR-10", "--out", "o")
        assert "only: expected one of ANIMAL-10N, Food-101N for data, got 'CIFAR-10'" in line

    @pytest.mark.parametrize(
        ("target", "only", "said"),
        [
            ("figure1", "method=GCE", "it leaves out A-GCE with symmetric 0.4 noise"),
            ("figure7", "noise=asymmetric*", "GCE with symmetric 0.4 noise"),
            ("figure2", "noise=symmetric*", "CE with asymmetric 0.4 noise"),
        ],
    )
    def test_a_figure_without_its_runs(
        self, target: str, only: str, said: str, refused: Callable[..., str]
    ) -> None:
        line = refused("reproduce", target, "--only", only, "--out", "o")
        assert f"{target}: expected --only to leave the runs that it needs" in line
        assert said in line

    @pytest.mark.exhaustive
    def test_all_goes_on_after_a_target_that_is_not_possible(self, tmp_path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reproduction, "TARGETS", ("table1", "figure1", "figure3"))
            out, only = tmp_path / "out", ["--only", "method=CE", "--only", "noise=sym*"]
            shown = run("reproduce", "all", "--out", str(out), *only, code=1)
        assert "not made: figure1: expected --only" in shown.replace("\n", "")
        assert (out / "figure3.png").exists()
        assert set(scores(out / "table1")) == {"CE"}

    def test_without_adjusters_the_other_runs_are_made(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        (out / "meta_digits").mkdir(parents=True)
        (out / "meta_digits" / "notes.txt").touch()  # a folder of something else
        chosen = ["--only", "noise=sym*", "--only", "method=CE", "--only", "method=T-GCE"]
        shown = run("reproduce", "table3", "--out", str(out), *chosen, code=1)
        assert "failed: adjusters of table3: " in shown
        assert "Traceback" in (out / "errors" / "adjusters-of-table3.txt").read_text()
        assert "failed: symmetric 0.4, T-GCE, seed 0: " in shown.replace("\n", " ")
        assert set(scores(out / "table3")) == {"CE"}

    def test_adjusters_are_learned_with_the_settings_of_the_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jobs: list[Job] = []
        monkeypatch.setattr(adjusters, "attempt", lambda job, _: jobs.append(job) or Outcome(job))
        # The meta-training has rates of its own, and nothing that is transferred.
        others = ["NOISE_RATE = 0.1", "t_gce/experiments.Transferred.strength = 0.5"]
        ours = reproduction.Reproduction(
            scale="smoke", out=tmp_path, bindings=["THREADS = 2", *others]
        )
        ((name, table),) = ours.tables("table4").items()
        user = ours.sweep(table, name, {"method": ["T-GCE"]}).runs[0][1]
        assert ours.learn(table, user) == []
        assert "THREADS = 2" in jobs[0].text
        assert "NOISE_RATE" not in jobs[0].text and "t_gce" not in jobs[0].text

    def test_settings_that_adjusters_cannot_be_learned_with_fail_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(adjusters, "attempt", lambda *_: pytest.fail("learned"))
        ours = reproduction.Reproduction(scale="smoke", out=tmp_path)
        ((name, table),) = ours.tables("table4").items()
        user = ours.sweep(table, name).runs[0][1]
        (outcome,) = ours.learn(replace(table, adjuster_bindings=["RATE = 1"]), user)
        assert outcome.error.endswith("did you mean RATES?")
        assert "Traceback" in (tmp_path / "errors" / "adjusters-of-table4.txt").read_text()

    def test_adjusters_that_another_process_learns_are_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried: list[Job] = []

        def attempt(job: Job, _: object) -> Outcome:
            tried.append(job)
            return Outcome(job, "in use", in_use=len(tried) < 3)

        for module in (adjusters, local):
            monkeypatch.setattr(module, "attempt", attempt)
        monkeypatch.setattr(local, "time", SimpleNamespace(sleep=lambda _: None))
        ours = reproduction.Reproduction(scale="smoke", out=tmp_path)
        ((name, table),) = ours.tables("table3").items()
        ours.learn(table, ours.sweep(table, name).runs[0][1])
        assert len(tried) == 3

    def test_without_data_no_adjuster_is_learned(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(adjusters, "attempt", lambda *_: pytest.fail("learned"))
        ours = reproduction.Reproduction(scale="paper", out=tmp_path, data=tmp_path)
        ((name, table),) = ours.tables("table3").items()
        only = {"noise": ["symmetric 0.2"], "method": ["T-GCE"], "seed": ["0"]}
        (outcome,) = ours.learn(table, ours.sweep(table, name, only).runs[0][1])
        assert "not learned, as they would be of no use: " in outcome.error
        assert "tiny-imagenet-200" in capsys.readouterr().err.replace("\n", "")

    def test_what_needs_data_says_which(self, refused: Callable[..., str]) -> None:
        line = refused("reproduce", "table1", "--scale", "paper")
        assert "table1: expected --data DATA, the folder that holds CIFAR-10 (https://" in line

    def test_figures_too_say_which_data_they_need(self, refused: Callable[..., str]) -> None:
        for figure in ("figure2", "figure7"):
            line = refused("reproduce", figure, "--scale", "laptop")
            assert f"{figure}: expected --data DATA, the folder that holds " in line

    @pytest.mark.parametrize("target", ["theorems", "figure3"])
    def test_options_of_runs_where_there_are_none(
        self, target: str, refused: Callable[..., str]
    ) -> None:
        line = refused("reproduce", target, "--only", "seed=0", "--gin_param", "EPOCHS = 1")
        said = f"{target}: expected no --only or --gin_param, since it is made without runs"
        assert line.endswith(said)

    def test_a_folder_of_something_else(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "photos" / "cats").mkdir(parents=True)
        for target in ("theorems", "figure3", "table1", "all"):
            line = refused("reproduce", target, "--out", "photos")
            assert "photos: expected a new folder or that of an earlier call, found cats" in line
        (tmp_path / "file").write_text("mine")
        assert "file" in refused("reproduce", "theorems", "--out", "file")

    def test_unknown_targets_and_scales(self, refused: Callable[..., str]) -> None:
        assert "expected one of table1, table2," in refused("reproduce", "table7")
        line = refused("reproduce", "table1", "--scale", "huge")
        assert line.endswith("scale: expected one of smoke, laptop, paper, got 'huge'")
