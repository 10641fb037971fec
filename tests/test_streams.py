"""Whatever labkit's streams are, commands say what they have to say and keep their exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SIGN = "✓ and \N{SNOWMAN}"


@pytest.fixture
def signed(tea_folder: Path) -> Path:
    """A lab whose title only Unicode has."""
    description = tea_folder / "lab.toml"
    description.write_text(f'title = "{SIGN}"\nexercises = []\n', encoding="utf-8")
    return tea_folder


def listed(lab: Path, *options: str, **environment: str) -> tuple[int, bytes]:
    """Run `labkit list` with its output redirected; tells the exit code and the bytes."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONIOENCODING", "PYTHONUTF8")}
    done = subprocess.run(
        [sys.executable, "-m", "labkit", "list", "--lab", str(lab), *options],
        env=kept | environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    return done.returncode, done.stdout


def test_redirected_output_is_utf_8_although_the_system_prefers_less(signed: Path) -> None:
    code, out = listed(signed, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (code, out.decode("utf-8").splitlines()[0]) == (0, SIGN)


@pytest.mark.parametrize(
    "encoding", ["cp1252", *(pytest.param(each, marks=pytest.mark.slow) for each in ("ascii", "ascii:strict"))]
)
def test_a_chosen_encoding_is_kept_and_what_it_lacks_is_a_question_mark(signed: Path, encoding: str) -> None:
    code, out = listed(signed, PYTHONIOENCODING=encoding)
    assert (code, out.splitlines()[0]) == (0, b"? and ?")


@pytest.mark.slow
def test_json_is_utf_8_in_any_encoding(signed: Path) -> None:
    code, out = listed(signed, "--format", "json", PYTHONIOENCODING="utf-16")
    assert (code, json.loads(out.decode("utf-8"))["lab"]) == (0, SIGN)


@pytest.mark.skipif(sys.platform != "linux", reason="has no file names that are no text")
def test_json_names_a_folder_whose_name_is_no_text(signed: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    signed.rename(folder)
    code, out = listed(folder / "nothing", "--format", "json")
    assert (code, json.loads(out.decode("utf-8"))["error"]["message"]) == (
        2,
        f"No lab in {folder / 'nothing'}: it has no lab.toml.",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="closes streams as a POSIX shell does")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("--version", 0, ""),
        ("list", 0, ""),
        pytest.param("list --format json", 0, "", marks=pytest.mark.slow),
        ("list x9", 2, "Unknown exercise “x9”. There is no exercise here.\nnext: labkit list\n"),
    ],
)
def test_closed_streams_change_no_exit_code(signed: Path, arguments: str, code: int, said: str) -> None:
    command = f'exec "$0" -m labkit {arguments}'
    for closed, heard in (("<&- >&-", said), ("<&- >&- 2>&-", "")):
        done = subprocess.run(
            ["sh", "-c", f"{command} {closed}", sys.executable],
            env=os.environ | {"LABKIT_LAB": str(signed)},
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stderr) == (code, heard)
