"""A release is one command: version, changelog, and the begins that `labkit update` will need."""

import runpy
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from labkit import releases, tree
from labkit.lab import find_lab

TOOL = Path(__file__).parent.parent / "tools" / "release.py"


@pytest.fixture
def release() -> Callable[..., Any]:
    """The tool's function."""
    found: Callable[..., Any] = runpy.run_path(str(TOOL))["release"]
    return found


@pytest.fixture
def checkout(tea_folder: Path, write_files: Callable[[Path, dict[str, str]], Path]) -> Path:
    """The small lab as a checkout of labkit would have it."""
    changelog = "# Changelog\n\n## Unreleased\n\n### Added\n\n- Tea.\n\n## 0.1.0 - 2026-01-01\n\n- Cups.\n"
    project = '[project]\nname = "x"\nversion = "0.1.0"\n\n[tool.x]\nversion = "9"\n'
    return write_files(
        tea_folder,
        {
            "CHANGELOG.md": changelog,
            "pyproject.toml": project,
            "labkit/__init__.py": '"""x"""\n\n__version__ = "0.1.0"\n',
        },
    )


def test_a_release_writes_version_changelog_and_begins(checkout: Path, release: Callable[..., Any]) -> None:
    written = release(checkout, "0.2.0", date(2026, 11, 30))
    assert [path.relative_to(checkout).as_posix() for path in written] == [
        "CHANGELOG.md",
        "pyproject.toml",
        "labkit/__init__.py",
        "exercises/a1-brew/begins/0.2.0.zip",
    ]
    assert (checkout / "CHANGELOG.md").read_text() == (
        "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-11-30\n\n### Added\n\n- Tea.\n\n"
        "## 0.1.0 - 2026-01-01\n\n- Cups.\n"
    )
    assert 'version = "0.2.0"\n\n[tool.x]\nversion = "9"\n' in (checkout / "pyproject.toml").read_text()
    assert '__version__ = "0.2.0"\n' in (checkout / "labkit" / "__init__.py").read_text()
    brew = find_lab(checkout).exercises[0]
    digest = tree.digest(brew.begin)
    (brew.begin / "app.py").write_text("other\n")
    found = releases.find(brew, digest)
    assert found is not None
    assert tree.digest_of(found) == digest


@pytest.mark.parametrize(
    ("version", "said"),
    [("2", "“2” is no version"), ("0.1.0", "has the version 0.1.0 already"), ("../x", "is no version")],
)
def test_what_cannot_be_released_is_said(checkout: Path, release: Callable[..., Any], version: str, said: str) -> None:
    before = (checkout / "CHANGELOG.md").read_text()
    with pytest.raises(SystemExit, match=said):
        release(checkout, version, date(2026, 11, 30))
    assert (checkout / "CHANGELOG.md").read_text() == before
    assert not (checkout / "exercises" / "a1-brew" / "begins").exists()
