"""A bundle: one archive with everything that a lab needs on machines without a network.

It is a zip that Python runs: `python FILE` makes an environment beside it and installs labkit there (`bootstrap`). It
holds `bundle.json`, `wheels/`, what to do about a browser, and `lab/` if the lab is not the one that labkit carries.
"""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from labkit import __version__, bootstrap, documents, packages, tree
from labkit.errors import MachineError, UsageError, unknown
from labkit.lab import Lab, carried_lab

Say = Callable[[str], None]

_GLIBC = [f"manylinux_2_{minor}" for minor in range(39, 4, -1)] + ["manylinux2014", "manylinux2010", "manylinux1"]

TARGETS = {
    "windows-x64": ["win_amd64"],
    "windows-arm64": ["win_arm64"],
    "macos-arm64": [f"macosx_{major}_0_{kind}" for major in range(15, 10, -1) for kind in ("arm64", "universal2")],
    "macos-x64": [
        f"macosx_{version}_{kind}"
        for version in ("15_0", "14_0", "13_0", "12_0", "11_0", *(f"10_{minor}" for minor in range(16, 8, -1)))
        for kind in ("x86_64", "universal2")
    ],
    "linux-x64": [f"{each}_x86_64" for each in _GLIBC],
    "linux-arm64": [f"{each}_aarch64" for each in _GLIBC],
}
"""The kinds of machines that bundles are for, and the platform tags of the wheels that run there."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14")

_MACHINES = {"windows": ("AMD64", "ARM64"), "macos": ("x86_64", "arm64"), "linux": ("x86_64", "aarch64")}
_SYSTEMS = {"windows": ("win32", "Windows", "nt"), "macos": ("darwin", "Darwin", "posix")}

BROWSER = """\
A browser is not in this bundle: Google does not let others pass Chrome on. Install one beforehand.

Windows   Microsoft Edge is there already; labkit takes it. Or: winget install Google.Chrome
macOS     Google Chrome, from its web page, or: brew install --cask google-chrome
Debian    sudo apt-get install chromium
Fedora    sudo dnf install chromium

Without a network, carry the installer of Google Chrome along. Another browser is named by LABKIT_BROWSER=PATH.
"""


@dataclass(frozen=True)
class Bundle:
    """A bundle that was made: for which machines and Pythons, and what is in it."""

    file: Path
    targets: tuple[str, ...]
    pythons: tuple[str, ...]
    wheels: tuple[str, ...]
    size: int


def make(lab: Lab, file: Path, targets: Sequence[str], pythons: Sequence[str], say: Say) -> Bundle:
    """Fetch what is needed for each machine and Python, and write the archive whole.

    None named is this machine, or this Python. Raises UsageError for a machine or a Python that labkit does not know,
    MachineError if a package cannot be had.
    """
    targets = tuple(dict.fromkeys(targets)) or (bootstrap.target(),)
    pythons = tuple(dict.fromkeys(pythons)) or (f"{sys.version_info[0]}.{sys.version_info[1]}",)
    for name in targets:
        if name not in TARGETS:
            raise unknown(
                "machine", name, TARGETS, "labkit setup --bundle FILE --for windows-x64,macos-arm64,linux-x64"
            )
    for version in pythons:
        if version not in PYTHONS:
            raise unknown("Python", version, PYTHONS, "labkit setup --bundle FILE --python 3.11,3.12,3.13")
    file = file.resolve()
    if file.is_dir():
        raise UsageError(f"{file} is a folder.", f"labkit setup --bundle {tree.argument(file / 'labkit-bundle.zip')}")
    with tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True) as temporary:
        wheels = Path(temporary) / "wheels"
        wheels.mkdir()
        say("Packing labkit itself")
        for name in (bootstrap.PROJECT, "asgi-signalr"):
            _own_wheel(name, wheels)
        for target in targets:
            for version in pythons:
                say(f"Fetching the packages for {target} with Python {version}")
                _fetch(target, version, wheels, say)
        packed = Path(temporary) / "bundle.zip"
        names = _write(packed, lab, wheels, targets, pythons)
        try:
            partial = file.with_name(f".{file.name}.tmp")
            partial.write_bytes(packed.read_bytes())
            partial.replace(file)
        except OSError as error:
            raise MachineError(
                f"Cannot write {file}: {error.strerror or error}.", "labkit setup --bundle FILE, in a folder of yours"
            ) from error
    return Bundle(file, targets, pythons, names, file.stat().st_size)


def _own_wheel(name: str, to: Path) -> None:
    """A distribution of labkit's own: built from its checkout, or repacked as it is installed."""
    direct = json.loads(packages.installed(name).read_text("direct_url.json") or "{}")
    if direct.get("dir_info", {}).get("editable"):
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        source = url2pathname(urlsplit(direct["url"]).path)
        _pip("wheel", "--no-deps", "--wheel-dir", str(to), source)
    else:
        file_name, content = packages.wheel(name)
        (to / file_name).write_bytes(content)


def _fetch(target: str, version: str, wheels: Path, say: Say) -> None:
    """Fetch every package that labkit needs there, by the markers of that machine and in the versions of this one."""
    environment = _environment(target, version)
    platform_options = [word for tag in TARGETS[target] for word in ("--platform", tag)]
    abi = f"cp{version.replace('.', '')}"
    options = [*platform_options, "--python-version", version, "--implementation", "cp"]
    options += ["--abi", abi, "--abi", "abi3", "--abi", "none"]
    wanted: dict[str, set[str]] = {}  # the extras of each package
    waiting = {bootstrap.PROJECT: {""}, "asgi-signalr": {""}}
    ranges: dict[str, str] = {}
    while waiting:
        missing = [name for name in waiting if name not in wanted and name not in (bootstrap.PROJECT, "asgi-signalr")]
        if missing:
            say(f"  {', '.join(sorted(missing))}")
            needed = [f"{name}{_version(name, ranges[name])}" for name in missing]
            _pip("download", "--no-deps", "--only-binary=:all:", "--dest", str(wheels), *options, *needed)
        for name, extras in waiting.items():
            wanted.setdefault(name, set()).update(extras)
        found: dict[str, set[str]] = {}
        for name in waiting:
            for requirement in _requirements(wheels, name, environment, wanted[name]):
                key = canonicalize_name(requirement.name)
                ranges.setdefault(key, str(requirement.specifier))
                extras = {"", *requirement.extras}
                if not extras <= wanted.get(key, set()):
                    found.setdefault(key, set()).update(extras)
        waiting = found


def _version(name: str, otherwise: str) -> str:
    """The version that is installed here; of what only other machines need, any in the range."""
    try:
        return f"=={importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return otherwise


def _requirements(wheels: Path, name: str, environment: dict[str, str], extras: set[str]) -> Iterator[Requirement]:
    """What a fetched package needs on that machine, with these extras."""
    paths = [path for path in wheels.glob("*.whl") if parse_wheel_filename(path.name)[0] == canonicalize_name(name)]
    with zipfile.ZipFile(max(paths, key=lambda path: path.stat().st_mtime_ns)) as archive:
        metadata = next(each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode("utf-8")
    for line in text.partition("\n\n")[0].splitlines():
        if line.startswith("Requires-Dist: "):
            requirement = Requirement(line.removeprefix("Requires-Dist: "))
            marker = requirement.marker
            if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in extras):
                yield requirement


def _environment(target: str, version: str) -> dict[str, str]:
    """The values of the environment markers there (packaging.python.org, “Dependency specifiers”)."""
    system, _, machine = target.partition("-")
    sys_platform, platform_system, os_name = _SYSTEMS.get(system, ("linux", "Linux", "posix"))
    return {
        "os_name": os_name,
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "platform_machine": _MACHINES[system][machine == "arm64"],
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "implementation_version": f"{version}.0",
        "python_version": version,
        "python_full_version": f"{version}.0",
        "platform_release": "",
        "platform_version": "",
    }


def _write(packed: Path, lab: Lab, wheels: Path, targets: Sequence[str], pythons: Sequence[str]) -> tuple[str, ...]:
    manifest = {
        "schema": 1,
        "labkit": __version__,
        "lab": lab.title,
        "version": lab.version,
        "targets": list(targets),
        "python": list(pythons),
    }
    names = tuple(sorted(path.name for path in wheels.glob("*.whl")))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(bootstrap.__file__, "__main__.py")
        archive.writestr(bootstrap.MANIFEST, documents.json_of(manifest))
        archive.writestr("BROWSER.txt", BROWSER)
        for name in names:
            archive.write(wheels / name, f"wheels/{name}", zipfile.ZIP_STORED)  # compressed already
        if lab.folder != carried_lab().resolve():
            for path in tree.app_files(lab.folder):
                archive.write(lab.folder / path, f"lab/{lab.folder.name}/{path}")
    return names


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments, "--quiet"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        said = [line.removeprefix("ERROR: ") for line in done.stdout.splitlines() if line.startswith("ERROR")]
        why = (said or done.stdout.splitlines() or ["no reason"])[-1]
        raise MachineError(
            f"A package of the bundle cannot be had: {why}",
            "A bundle is made with a network: repeat the command there.",
        )
