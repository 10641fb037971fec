"""Fetch the quiz's browser libraries at the versions below: `uv run tools/refresh_vendor.py`.

They are kept in the repository, so that the quiz needs no network. A version of a library that the hub speaks to,
the SignalR client, is no business of the quiz: asgi-signalr carries and serves it.
"""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENDOR = [
    ROOT / "exercises" / name / "begin" / "geekquiz" / "static" / "vendor" for name in ("ex1-realtime", "ex2-scaleout")
]
LIBRARIES = {  # name: (version, files of the npm package)
    "bootstrap": ("5.3.9", ("dist/css/bootstrap.min.css", "LICENSE")),
    "chart.js": ("4.6.1", ("dist/chart.umd.min.js", "LICENSE.md")),
}


def fetch(name: str, version: str, files: tuple[str, ...], folder: Path) -> None:
    """Unpack these files of an npm package, and write its version beside them."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is missing. It comes with the development tools: uv sync")
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run([npm, "pack", "--silent", f"{name}@{version}"], cwd=temporary, check=True)
        (archive,) = Path(temporary).glob("*.tgz")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as package:
            for file in files:
                member = package.extractfile(f"package/{file}")
                assert member is not None, f"{name} has no {file}"  # noqa: S101  (a tool for maintainers)
                # without the maps, which are five times the size, a browser's tools would look for them in vain
                lines = member.read().decode("utf-8").replace("\r\n", "\n").splitlines()
                text = "\n".join(line.rstrip() for line in lines if "sourceMappingURL=" not in line)
                (folder / Path(file).name).write_text(text + "\n", encoding="utf-8", newline="\n")
    (folder / "VERSION").write_text(f"{name} {version}\n", encoding="utf-8", newline="\n")


def main() -> None:
    """Refresh the copies of both exercises; `labkit author end` carries them on to the end folders."""
    first, *others = VENDOR
    for name, (version, files) in LIBRARIES.items():
        fetch(name, version, files, first / name)
    for vendor in others:
        shutil.copytree(first, vendor, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
