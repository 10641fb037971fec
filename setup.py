"""Packaging only: carries the lab into labkit's wheel. Everything static is declared in pyproject.toml."""

import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
LAB = ("lab.toml", "exercises", "snippets", *tomllib.loads((HERE / "lab.toml").read_text(encoding="utf-8"))["manual"])


class build_py_with_lab(build_py):  # noqa: N801  (setuptools' own spelling)
    """Copies the lab as it is, dotfiles too (package_data's patterns drop them), to `labkit/_lab`."""

    def run(self) -> None:
        """Build the packages, then put the lab beside them; an editable install reads it from the checkout."""
        if self.editable_mode:
            super().run()
            return
        target = Path(self.build_lib) / "labkit"
        # An earlier build's folder may hold modules that are gone.
        shutil.rmtree(target, ignore_errors=True)
        super().run()
        for name in LAB:
            source = HERE / name
            if source.is_dir():
                shutil.copytree(source, target / "_lab" / name, ignore=left_behind())
            else:
                (target / "_lab" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target / "_lab" / name)


def left_behind() -> Callable[[str, list[str]], set[str]]:
    """What git leaves out stays out of the wheel as well: each line of .gitignore is a plain name or pattern."""
    lines = (HERE / ".gitignore").read_text(encoding="utf-8").split()
    return shutil.ignore_patterns(*(line.rstrip("/") for line in lines))


setup(cmdclass={"build_py": build_py_with_lab})
