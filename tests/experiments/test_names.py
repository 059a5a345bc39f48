"""Names of methods and tasks, and the folders named after them."""

from __future__ import annotations

import re

import pytest

from metaloss.checks import InputError
from metaloss.experiments.records.names import check_names, slug


class TestNames:
    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ([], "expected one or more, got none"),
            (["GCE", "GCE"], "expected different names, got GCE more than once"),
            (["A GCE", "a-gce"], "expected names of different folders, got 'A GCE' and 'a-gce'"),
            ([""], "a letter or a digit, got ''"),
            ([".."], "a letter or a digit, got '..'"),
            (["../.."], "a letter or a digit"),
            (["results.json"], "other than the run's own files, got 'results.json'"),
            (["Straße", "STRASSE"], "expected names of different folders"),
            (["caf\u00e9", "cafe\u0301"], "expected names of different folders"),
            (["、。"], "a letter or a digit"),
            (["調" * 67], "at most 200 bytes, got 201"),
            (["held out"], "other than the run's own files, got 'held out'"),
            (["Folds"], "other than the run's own files, got 'Folds'"),
            (["labels.json"], "other than the run's own files, got 'labels.json'"),
        ],
    )
    def test_refused(self, names: list[str], message: str) -> None:
        with pytest.raises(InputError, match=re.escape(message)):
            check_names("methods", names)

    def test_taken(self) -> None:
        check_names(
            "methods", ["GCE", "A-GCE", "A-GCE (margin)", "0.2", "調整", "हिन्दी", "調整 GCE"]
        )

    @pytest.mark.parametrize(
        ("name", "folder"),
        [
            ("A-GCE (margin, average)", "A-GCE-margin-average"),
            ("a_b", "a-b"),  # as ever: runs are found again
            ("調整 GCE", "調整-GCE"),
            ("हिन्दी", "हिन्दी"),
            ("cafe\u0301", "caf\u00e9"),
            ("a/../b", "a-..-b"),
        ],
    )
    def test_folders(self, name: str, folder: str) -> None:
        assert slug(name) == folder
