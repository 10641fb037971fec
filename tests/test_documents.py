"""JSON and TOML files that somebody else has made: whatever they are, reading them ends, and says what is wrong."""

import os
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import documents


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (".".join("a" * 20_000) + " = 1", r"a key has more than 64 dots \(at line 1\)"),
        ("\n[" + ".".join("a" * 20_000) + "]", r"a key has more than 64 dots \(at line 2\)"),
        ("x = { " + ".".join("a" * 20_000) + " = 1 }", r"a key has more than 64 dots \(at line 1\)"),
        ("x = " + "[" * 20_000, "it is nested too deeply"),
        ("x = " + "{ a = " * 20_000, "it is nested too deeply|Expected|Invalid"),
        ("x = ", r"Invalid value \(at"),
    ],
    ids=["key", "heading", "key in a table", "lists", "tables", "damaged"],
)
def test_toml_that_would_take_for_ever_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        documents.parse_toml(text)


def test_dots_that_are_in_no_key_are_no_matter() -> None:
    assert documents.parse_toml(f'x = "{"." * 1000}"\n') == {"x": "." * 1000}


def test_json_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="it is nested too deeply"):
        documents.parse_json("[" * 100_000)


@given(st.text(alphabet="ab.=[]{}'\"\n, 1#", max_size=60))
def test_what_is_read_is_what_tomllib_reads(text: str) -> None:
    try:
        wanted = tomllib.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            documents.parse_toml(text)
    else:
        assert documents.parse_toml(text) == wanted


@pytest.mark.skipif(sys.platform == "win32", reason="made of links and pipes")
def test_only_plain_files_of_some_size_are_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for make, why in (
        (lambda: file.symlink_to("/dev/zero"), "it is a link"),
        (lambda: os.mkfifo(file), "it is no file"),
        (file.mkdir, "it is no file"),
        (lambda: file.write_bytes(b" " * (documents.MOST + 1)), "it has more than 1,000,000 bytes"),
    ):
        make()
        with pytest.raises(ValueError, match=why):
            documents.read(file)
        file.rmdir() if file.is_dir() else file.unlink()
    with pytest.raises(FileNotFoundError):
        documents.read(file)
