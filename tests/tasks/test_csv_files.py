"""Tables in text files."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloss.checks import InputError
from metaloss.tasks.csv_files import read_csv


def written(folder: Path, content: bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"path,label\na.jpg,cat\n\nb.jpg,dog\n",
        b"path;label\r\na.jpg;cat\r\nb.jpg;dog",
        b"path\tlabel\na.jpg\tcat\nb.jpg\tdog\n",
        b"\xef\xbb\xbfpath, label\na.jpg, cat\nb.jpg, dog\n",
        b'"path","label"\n"a.jpg","cat"\n"b.jpg","dog"\n',
    ],
    ids=["commas", "semicolons", "tabs", "byte order mark", "quotes"],
)
def test_every_dialect_reads_the_same(tmp_path: Path, content: bytes) -> None:
    table = read_csv(written(tmp_path, content))
    assert table.header == ("path", "label")
    assert table.column("path") == ["a.jpg", "b.jpg"]
    assert table.column("label") == ["cat", "dog"]


def test_a_quoted_cell_may_hold_delimiters_and_line_ends(tmp_path: Path) -> None:
    table = read_csv(written(tmp_path, b'path,label\n"a,\nb",cat\nc,dog\n'))
    assert table.column("path") == ["a,\nb", "c"]
    assert table.lines == [3, 4]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "expected a header and rows, got an empty file"),
        (b"\n\n", "expected a header and rows, got an empty file"),
        (b"path,label\n", "expected rows below the header, got none"),
        (b"path,path\na,b\n", "a name of its own for each column, got 'path', 'path'"),
        (b"path,\na,b\n", "a name for each column, column 2 of 2 has none"),
        (b",height,label\n0,1,b\n", r"column 1 of 3 has none; if pandas .*index=False"),
        (b"path,label\na,b\nc\n", r"line 3: expected 2 cells as in the header, got 1"),
        (b"path,label\na,b\nc,caf\xe9\n", r"line 3: expected text in UTF-8, got other bytes"),
        ("path,label\na,b\n".encode("utf-16"), "line 1: expected text in UTF-8, got other bytes"),
        (b'path,label\n"a,b\n', "cannot be read"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_csv(written(tmp_path, content))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no such file"):
        read_csv(tmp_path / "table.csv")


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    table = read_csv(written(tmp_path, b"a.jpg,cat\nb.jpg,dog\n"))
    with pytest.raises(InputError, match=r"the column 'label', got 'a\.jpg', 'cat'"):
        table.column("label")
