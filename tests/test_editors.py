"""The person's own editor opens at the file and the line."""

import os
import sys
from pathlib import Path

import pytest

from labkit import editors
from labkit.editors import Editor
from labkit.errors import MachineError


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (("/usr/bin/code",), ["/usr/bin/code", "--goto", "a b.py:7"]),
        (("code", "--reuse-window"), ["code", "--reuse-window", "--goto", "a b.py:7"]),
        (("C:/Editors/pycharm64.exe",), ["C:/Editors/pycharm64.exe", "--line", "7", "a b.py"]),
        (("subl",), ["subl", "a b.py:7"]),
        (("vim",), ["vim", "+7", "a b.py"]),
        (("gedit",), ["gedit", "a b.py"]),
    ],
)
def test_each_editor_is_told_the_line_in_its_own_way(command: tuple[str, ...], arguments: list[str]) -> None:
    assert Editor(command).arguments(Path("a b.py"), 7) == arguments
    assert Editor(command).arguments(Path("a b.py")) == [*command, "a b.py"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)
    return tmp_path


def program(folder: Path, name: str, does: str = "") -> Path:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{does}\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="programs are files with a first line here")
def test_visual_comes_before_what_is_found_but_no_editor_of_the_terminal_where_there_is_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert editors.find() is None
    charm = program(folder, "charm")
    assert editors.find() == Editor((str(charm),))
    vim = program(folder, "vim")
    monkeypatch.setenv("VISUAL", "vim -R")
    assert editors.find() == Editor((str(vim), "-R"))
    assert editors.find(windows_only=True) == Editor((str(charm),))


@pytest.mark.skipif(sys.platform == "win32", reason="programs are files with a first line here")
def test_a_file_is_shown_at_its_line(folder: Path) -> None:
    with pytest.raises(MachineError) as caught:
        editors.show(Path("app.py"), 3)
    assert caught.value.next == "Name yours in the environment variable VISUAL, or open app.py yourself."
    pipe = folder / "told"
    os.mkfifo(pipe)
    program(folder, "code", f"import sys; open({str(pipe)!r}, 'w').write(' '.join(sys.argv[1:]))")
    assert editors.show(Path("app.py"), 3).name == "code"
    assert pipe.read_text() == "--goto app.py:3"
