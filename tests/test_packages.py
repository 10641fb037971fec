"""Installed distributions are repacked into wheels that installers accept."""

import importlib.metadata
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from labkit import packages
from labkit.errors import MachineError


@pytest.mark.parametrize("name", ["idna", "handson-labkit"], ids=["installed", "editable"])
def test_a_wheel_has_the_code_and_the_metadata(name: str) -> None:
    file_name, content = packages.wheel(name)
    version = importlib.metadata.version(name)
    stem = f"{name.replace('-', '_')}-{version}"
    members = zipfile.ZipFile(BytesIO(content)).namelist()
    module = {"idna": "idna", "handson-labkit": "labkit"}[name]
    assert file_name == f"{stem}-py3-none-any.whl"
    assert {f"{module}/__init__.py", f"{stem}.dist-info/METADATA", f"{stem}.dist-info/RECORD"} <= set(members)
    assert members[-1] == f"{stem}.dist-info/RECORD"
    assert not [member for member in members if member.endswith((".pyc", "direct_url.json", ".pth")) or ".." in member]


def test_what_a_build_has_left_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = packages.wheel("idna")
    (tmp_path / "idna.egg-info").mkdir()
    (tmp_path / "idna.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: idna\nVersion: 0.0\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.metadata.version("idna") == "0.0"
    assert packages.wheel("idna") == installed


def test_the_same_files_make_the_same_bytes() -> None:
    assert packages.wheel("idna") == packages.wheel("idna")


def test_a_repacked_wheel_runs(tmp_path: Path) -> None:
    file_name, content = packages.wheel("idna")
    (tmp_path / file_name).write_bytes(content)
    code = f"import sys; sys.path.insert(0, {str(tmp_path / file_name)!r}); import idna; print(idna.__file__)"
    shown = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert file_name in shown.stdout


def test_a_package_that_is_not_installed_is_the_machines_fault() -> None:
    with pytest.raises(MachineError, match="no-such-package is not installed"):
        packages.wheel("no-such-package")
