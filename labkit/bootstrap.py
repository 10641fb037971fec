"""From a machine with nothing but Python to an environment with labkit, and `labkit setup` in it.

`python setup.py` in a checkout comes here, and so does `python FILE` of a bundle, whose `__main__.py` this file is:
therefore it imports the standard library only, is understood by Pythons that are too old for labkit, and has its
translations with it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PYTHON = (3, 11)
"""The oldest Python that labkit runs on."""

MANIFEST = "bundle.json"

PROJECT = "handson-labkit"


class Refusal(Exception):  # noqa: N818  (what this machine lacks, said once at the end)
    """What is in the way, and in `next` what to do about it."""

    def __init__(self, message: str, next: str) -> None:
        super().__init__(message)
        self.next = next


def main(arguments: list[str], home: Path, bundle: Path | None = None) -> int:
    """Make `home/.venv`, install labkit in it, run `labkit setup`, and tell how to activate it.

    Without a bundle `home` is a checkout, and packages come from the index. Returns labkit's exit code; 3 if this
    machine lacks something.
    """
    parser = argparse.ArgumentParser(
        description=_said(
            "Make an environment, install labkit in it, and look whether this machine is ready for the lab."
        )
    )
    parser.add_argument(
        "--from", dest="bundle", type=Path, metavar="FILE", help=_said("without a network, from this bundle")
    )
    parser.add_argument("--yes", "-y", action="store_true", help=_said("do not ask before a browser is downloaded"))
    parser.add_argument("--dir", type=Path, default=home, help=_said("where to make .venv (default: %(default)s)"))
    chosen = parser.parse_args(arguments)
    bundle, home = chosen.bundle or bundle, chosen.dir.absolute()
    environment = home / ".venv"
    try:
        if bundle is None:
            _from_index(home, environment)
        else:
            refuse_unfit(read_manifest(bundle), bundle)  # before anything is made
            _make(environment, "--without-pip")
            install(bundle, python_of(environment))
            _unpack_lab(bundle, home)
    except Refusal as refusal:
        print(f"{refusal}\n{_said('next:')} {refusal.next}", file=sys.stderr, flush=True)
        return 3
    labkit = [str(python_of(environment)), "-m", "labkit", "setup", *(["--yes"] if chosen.yes else [])]
    code = subprocess.run(labkit, cwd=str(home)).returncode
    print("\n" + _said("Activate the environment, in every new terminal, so that `labkit` is found:") + "\n")
    print(f"    {activation(environment)}", flush=True)
    return code


def install(bundle: Path, python: Path) -> None:
    """Install labkit from a bundle with this Python, without any network.

    Raises Refusal if the file is no bundle, or not for this machine.
    """
    manifest = read_manifest(bundle)
    refuse_unfit(manifest, bundle)
    with tempfile.TemporaryDirectory(prefix="labkit-") as temporary:
        _say(_said("Unpacking {bundle}", bundle=bundle.name))
        with zipfile.ZipFile(str(bundle)) as archive:
            wheels = [name for name in archive.namelist() if name.startswith("wheels/") and name.endswith(".whl")]
            archive.extractall(temporary, wheels)
        folder = Path(temporary, "wheels")
        (pip,) = folder.glob("pip-*.whl")
        options = ["install", "--quiet", "--no-index", "--find-links", str(folder), "--disable-pip-version-check"]
        again = ["--force-reinstall", "--no-deps", PROJECT, "asgi-signalr"]  # of a bundle with the same version
        into = python.parent.parent
        _say(_said("Installing labkit {version} into {folder}", version=manifest["labkit"], folder=into))
        failed = _said("The packages of the bundle could not be installed.")
        for what in ([PROJECT], again):
            _run([str(python), str(pip / "pip"), *options, *what], failed)


def read_manifest(bundle: Path) -> dict[str, object]:
    """What the bundle says about itself.

    Raises Refusal if it is none.
    """
    try:
        with zipfile.ZipFile(str(bundle)) as archive:
            manifest: dict[str, object] = json.loads(archive.read(MANIFEST).decode("utf-8"))
        if manifest["schema"] != 1:
            raise Refusal(
                _said("{bundle} was made by a newer labkit.", bundle=bundle),
                _said("Make it with the labkit that you have."),
            )
        return manifest
    except OSError as error:
        raise Refusal(
            _said("Cannot read {bundle}: {reason}.", bundle=bundle, reason=error.strerror),
            _said("Name the bundle: --from FILE"),
        ) from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise Refusal(
            _said("{bundle} is no bundle of labkit, or it is damaged.", bundle=bundle),
            _said("Make one: labkit setup --bundle FILE"),
        ) from error


def refuse_unfit(manifest: dict[str, object], bundle: Path) -> None:
    """Raise Refusal unless the bundle has packages for this machine and this Python."""
    targets, pythons = manifest["targets"], manifest["python"]
    assert isinstance(targets, list) and isinstance(pythons, list)  # noqa: S101  (as read_manifest's file has them)
    version = ".".join(map(str, sys.version_info[:2]))
    if target() in targets and version in pythons:
        return
    raise Refusal(
        _said(
            "{bundle} is for {targets} with Python {pythons}; this is {target} with Python {version}.",
            bundle=bundle.name,
            targets=", ".join(targets),
            pythons=", ".join(pythons),
            target=target(),
            version=version,
        ),
        _said(
            "Make one for it, where there is a network: labkit setup --bundle FILE --for {target} --python {version}",
            target=target(),
            version=version,
        ),
    )


def target() -> str:
    """This kind of machine, as bundles name it: `windows-x64`, `macos-arm64`, `linux-x64` …"""
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    known = {"amd64": "x64", "x86_64": "x64", "aarch64": "arm64"}
    return f"{system}-{known.get(machine, machine)}"


def python_of(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def activation(environment: Path) -> str:
    """What to type to activate it in the shell of this machine."""
    if sys.platform == "win32":
        in_cmd = f'{_said("in cmd:")} "{environment}\\Scripts\\activate.bat"'
        return f'& "{environment}\\Scripts\\Activate.ps1"     ({in_cmd})'
    shell = Path(os.environ.get("SHELL") or "sh").name
    script = {"fish": "activate.fish", "csh": "activate.csh", "tcsh": "activate.csh"}.get(shell, "activate")
    path = str(environment / "bin" / script)
    plain = all(each.isalnum() or each in "@%+=:,./-_~" for each in path)
    quoted = path.replace("'", "'\\''")
    return f"source {path}" if plain else f"source '{quoted}'"


def _from_index(checkout: Path, environment: Path) -> None:
    uv = shutil.which("uv")
    if uv:
        _say(_said("Making {folder} with uv", folder=environment))
        # --inexact: what a developer has added stays.
        sync = [uv, "sync", "--no-dev", "--inexact", "--project", str(checkout)]
        _run(sync, _said("uv could not make the environment."))
        return
    _make(environment)
    import tomllib  # there from Python 3.11, which _make has made sure of

    with (checkout / "pyproject.toml").open("rb") as file:
        pins = tomllib.load(file)["tool"]["uv"]["constraint-dependencies"]
    with tempfile.TemporaryDirectory(prefix="labkit-") as temporary:
        constraints = Path(temporary, "constraints.txt")
        constraints.write_text("\n".join(pins), encoding="utf-8")
        _say(_said("Installing labkit and its packages"))
        _run(
            [
                *(str(python_of(environment)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                *("--constraint", str(constraints)),
                *("--editable", str(checkout / "asgi-signalr"), "--editable", str(checkout)),
            ],
            _said("The packages could not be installed: is there a network?"),
        )


def _make(environment: Path, *options: str) -> None:
    """Make a virtual environment; one that is there and runs is taken as it is."""
    if sys.version_info < PYTHON or sys.maxsize < 2**32:
        raise Refusal(
            _said(
                "This is Python {version}; labkit needs {oldest} or later, 64 bit.",
                version=platform.python_version(),
                oldest=f"{PYTHON[0]}.{PYTHON[1]}",
            ),
            _newer_python(),
        )
    python = str(python_of(environment))
    if not _fails([python, "-c", "pass"] if options else [python, "-m", "pip", "--version"]):
        return
    if not options and _fails([sys.executable, "-c", "import ensurepip, venv"]):
        raise Refusal(
            _said("This Python cannot make environments: its packages venv and ensurepip are missing."), _venv()
        )
    _say(_said("Making {folder}", folder=environment))
    make = [sys.executable, "-m", "venv", "--clear", *options, str(environment)]
    _run(make, _said("The environment could not be made."))


def _fails(command: list[str]) -> bool:
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0
    except OSError:
        return True


def _venv() -> str:
    version = ".".join(map(str, sys.version_info[:2]))
    if shutil.which("apt-get"):
        return f"sudo apt-get install python{version}-venv"
    if shutil.which("dnf"):
        return "sudo dnf install python3"
    if shutil.which("zypper"):
        return "sudo zypper install python3"
    return _said("Install Python from its web page or your package manager, with venv and pip; or install uv.")


def _newer_python() -> str:
    if sys.platform == "win32":
        return f"winget install Python.Python.3.13     ({_said('then:')} py -3.13 setup.py)"
    if sys.platform == "darwin":
        return f"brew install python@3.13     ({_said('then:')} python3.13 setup.py)"
    if shutil.which("apt-get"):
        return f"sudo apt-get install python3 python3-venv     ({_said('or install uv, which brings its own Python')})"
    if shutil.which("dnf"):
        return f"sudo dnf install python3.13     ({_said('then:')} python3.13 setup.py)"
    return _said("Install a newer Python, or uv, which brings its own.")


def _unpack_lab(bundle: Path, home: Path) -> None:
    """Put a lab that labkit does not carry beside the environment; a folder that is there stays as it is."""
    with zipfile.ZipFile(str(bundle)) as archive:
        names = [name for name in archive.namelist() if name.startswith("lab/")]
        tops = {name.split("/")[1] for name in names}
        if any((home / top).exists() for top in tops):
            return
        for name in names:
            path = home / name[len("lab/") :]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
        for top in tops:
            _say(_said("Unpacked the lab into {folder}: name it with --lab {name}", folder=home / top, name=top))


def _run(command: list[str], failed: str) -> None:
    try:
        code = subprocess.run(command).returncode
    except OSError as error:
        again = _said("Mend that, and repeat the command.")
        raise Refusal(f"{failed} {command[0]}: {error.strerror}", again) from error
    if code:
        raise Refusal(failed, _said("The lines above tell why. Mend that, and repeat the command."))


def _say(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


def _said(text: str, **fields: object) -> str:
    """A message in the language that LABKIT_LANG asks for, as labkit says all else, with its fields filled in."""
    is_spanish = os.environ.get("LABKIT_LANG", "").lower().startswith("es")
    return (SPANISH[text] if is_spanish else text).format(**fields)


SPANISH = {
    "Make an environment, install labkit in it, and look whether this machine is ready for the lab.": (
        "Crear un entorno, instalar labkit en él, y mirar si este equipo está listo para el laboratorio."
    ),
    "without a network, from this bundle": "sin red, desde este paquete",
    "do not ask before a browser is downloaded": "no preguntar antes de descargar un navegador",
    "where to make .venv (default: %(default)s)": "dónde crear .venv (por defecto: %(default)s)",
    "Activate the environment, in every new terminal, so that `labkit` is found:": (
        "Activa el entorno, en cada terminal nuevo, para que se encuentre `labkit`:"
    ),
    "Unpacking {bundle}": "Desempaquetando {bundle}",
    "Installing labkit {version} into {folder}": "Instalando labkit {version} en {folder}",
    "The packages of the bundle could not be installed.": "No se han podido instalar los paquetes del fichero.",
    "{bundle} was made by a newer labkit.": "{bundle} se hizo con un labkit más nuevo.",
    "Make it with the labkit that you have.": "Hazlo con el labkit que tienes.",
    "Cannot read {bundle}: {reason}.": "No se puede leer {bundle}: {reason}.",
    "Name the bundle: --from FILE": "Di cuál es el fichero: --from FILE",
    "{bundle} is no bundle of labkit, or it is damaged.": "{bundle} no es un fichero de labkit, o está dañado.",
    "Make one: labkit setup --bundle FILE": "Haz uno: labkit setup --bundle FILE",
    "{bundle} is for {targets} with Python {pythons}; this is {target} with Python {version}.": (
        "{bundle} es para {targets} con Python {pythons}; esto es {target} con Python {version}."
    ),
    "Make one for it, where there is a network: labkit setup --bundle FILE --for {target} --python {version}": (
        "Haz uno para él, donde haya red: labkit setup --bundle FILE --for {target} --python {version}"
    ),
    "in cmd:": "en cmd:",
    "Making {folder} with uv": "Creando {folder} con uv",
    "uv could not make the environment.": "uv no ha podido crear el entorno.",
    "Installing labkit and its packages": "Instalando labkit y sus paquetes",
    "The packages could not be installed: is there a network?": "No se han podido instalar los paquetes: ¿hay red?",
    "This is Python {version}; labkit needs {oldest} or later, 64 bit.": (
        "Esto es Python {version}; labkit necesita {oldest} o posterior, de 64 bits."
    ),
    "This Python cannot make environments: its packages venv and ensurepip are missing.": (
        "Este Python no puede crear entornos: le faltan sus paquetes venv y ensurepip."
    ),
    "Making {folder}": "Creando {folder}",
    "The environment could not be made.": "No se ha podido crear el entorno.",
    "Install Python from its web page or your package manager, with venv and pip; or install uv.": (
        "Instala Python desde su página web o con tu gestor de paquetes, con venv y pip; o instala uv."
    ),
    "next:": "siguiente:",
    "then:": "después:",
    "or install uv, which brings its own Python": "o instala uv, que trae su propio Python",
    "Install a newer Python, or uv, which brings its own.": "Instala un Python más nuevo, o uv, que trae el suyo.",
    "Unpacked the lab into {folder}: name it with --lab {name}": (
        "El laboratorio está en {folder}: dilo con --lab {name}"
    ),
    "Mend that, and repeat the command.": "Arréglalo, y repite la orden.",
    "The lines above tell why. Mend that, and repeat the command.": (
        "Las líneas de arriba dicen por qué. Arréglalo, y repite la orden."
    ),
}
"""What is said in Spanish, by what is said in English."""


if __name__ == "__main__":
    _bundle = Path(sys.argv[0])
    sys.exit(main(sys.argv[1:], Path.cwd(), _bundle if zipfile.is_zipfile(str(_bundle)) else None))
