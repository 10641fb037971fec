"""Packaging only: carries the lab into labkit's wheel. Everything static is declared in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
LAB = ("lab.toml", "exercises", "snippets")
LEFT_BEHIND = shutil.ignore_patterns(
    "__pycache__",
    "*.pyc",
    "*.db",
    "*.db-wal",
    "*.db-shm",
    ".venv",
    "uv.lock",
    ".labkit",
    ".pytest_cache",
    ".ruff_cache",
    ".mypy_cache",
    ".DS_Store",
)


class build_py_with_lab(build_py):  # noqa: N801  (setuptools' own spelling)
    """Copies the lab as it is, dotfiles too (package_data's patterns drop them), to `labkit/_lab`."""

    def run(self) -> None:
        """Build the packages, then put the lab beside them; an editable install reads it from the checkout."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "labkit" / "_lab"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in LAB:
            source = HERE / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=LEFT_BEHIND)
            else:
                shutil.copy2(source, target / name)


setup(cmdclass={"build_py": build_py_with_lab})
