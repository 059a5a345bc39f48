"""A damaged file is read as it is, or refused in one line; nothing else happens."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloss.checks import InputError
from tests.fuzz.damage import damaged_bytes, damaged_json
from tests.fuzz.readers import READERS, Reader

FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MANY = settings(FEW, max_examples=int(os.environ.get("FUZZ", "100")))  # thousands in a long run


@pytest.mark.parametrize("name", READERS)
def test_a_whole_file_is_read(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    for file, held in reader.whole().items():
        (tmp_path / file).write_bytes(held)
    reader.read(tmp_path)


def check(reader: Reader, data: st.DataObject) -> None:
    whole = reader.whole()
    held = whole[reader.name]
    ways = [damaged_bytes(held)] + ([damaged_json(held)] if reader.is_json else [])
    damaged = data.draw(st.one_of(ways))
    with TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("error")  # a reader warns of nothing
        folder = Path(place)
        for file, content in whole.items():
            (folder / file).write_bytes(damaged if file == reader.name else content)
        before = set(folder.iterdir())
        try:
            reader.read(folder)
        except InputError as error:
            said = str(error)
            assert said and "\n" not in said
            assert len(said.replace(place, "")) < 600, said
        assert set(folder.iterdir()) == before


@pytest.mark.bad_input
@pytest.mark.parametrize("name", READERS)
@FEW
@given(data=st.data())
def test_damage(name: str, data: st.DataObject) -> None:
    check(READERS[name], data)


@pytest.mark.exhaustive
@pytest.mark.bad_input
@pytest.mark.parametrize("name", READERS)
@MANY
@given(data=st.data())
def test_much_damage(name: str, data: st.DataObject) -> None:
    check(READERS[name], data)
