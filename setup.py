"""Sets the lab up: `python setup.py` makes the environment, installs labkit, and runs `labkit setup`.

With the arguments of setuptools it is packaging, which carries the lab into labkit's wheel. Everything static is
declared in pyproject.toml.
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).absolute().parent


def package():
    """Be the set-up script that setuptools asks for."""
    import tomllib

    from setuptools import setup
    from setuptools.command.build_py import build_py

    manual = tomllib.loads((HERE / "lab.toml").read_text(encoding="utf-8"))["manual"]
    lab = ("lab.toml", "exercises", "snippets", "locale", *manual)

    class build_py_with_lab(build_py):  # noqa: N801  (setuptools' own spelling)
        """Copies the lab as it is, dotfiles too (package_data's patterns drop them), to `labkit/_lab`."""

        def run(self):
            """Build the packages, then put the lab beside them; an editable install reads it from the checkout."""
            if self.editable_mode:
                super().run()
                return
            target = Path(self.build_lib) / "labkit"
            # An earlier build's folder may hold modules that are gone.
            shutil.rmtree(target, ignore_errors=True)
            super().run()
            for name in lab:
                source = HERE / name
                if source.is_dir():
                    shutil.copytree(source, target / "_lab" / name, ignore=left_behind())
                else:
                    (target / "_lab" / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, target / "_lab" / name)

    setup(cmdclass={"build_py": build_py_with_lab})


def left_behind():
    """What git leaves out stays out of the wheel as well: each line of .gitignore is a plain name or pattern."""
    lines = (HERE / ".gitignore").read_text(encoding="utf-8").split()
    return shutil.ignore_patterns(*(line.rstrip("/") for line in lines))


if sys.argv[1:] and not sys.argv[1].startswith("-"):  # a command of setuptools: egg_info, bdist_wheel, …
    package()
elif __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    from labkit.bootstrap import main

    sys.exit(main(sys.argv[1:], HERE))
