"""From nothing but Python to a machine that is ready: setup.py, bundles, and the readiness code."""

import ast
import json
import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import __version__, bootstrap, bundle, readiness
from labkit.cli import run
from labkit.errors import UsageError
from labkit.machine import Finding, State

CHECKOUT = Path(__file__).parent.parent

CREATED = f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_all_that_is_said_before_anything_is_installed_is_said_in_spanish_too() -> None:
    calls = [
        each for each in ast.walk(ast.parse(Path(bootstrap.__file__).read_text("utf-8"))) if isinstance(each, ast.Call)
    ]
    said = {ast.literal_eval(each.args[0]) for each in calls if ast.unparse(each.func) == "_said"}
    assert said == set(bootstrap.SPANISH)
    fields = re.compile(r"\{\w+\}|--\w+|%\(\w+\)s")
    differ = [each for each, es in bootstrap.SPANISH.items() if set(fields.findall(each)) != set(fields.findall(es))]
    assert differ == []


def test_a_reader_of_spanish_is_told_in_spanish_what_a_machine_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABKIT_LANG", "es_ES.UTF-8")
    assert bootstrap.main(["--from", str(tmp_path / "none.zip")], tmp_path) == 3
    assert capsys.readouterr().err.startswith(f"No se puede leer {tmp_path / 'none.zip'}: ")


def test_setup_py_says_how_it_is_used_without_setuptools(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "setuptools", None)
    monkeypatch.setattr(sys, "argv", ["setup.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(CHECKOUT / "setup.py"), run_name="__main__")
    assert ended.value.code == 0
    assert "Make an environment, install labkit in it" in capsys.readouterr().out


def test_without_venv_the_systems_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(bootstrap, "_fails", lambda command: True)
    assert bootstrap.main([], tmp_path) == 3
    assert capfd.readouterr().err == (
        "This Python cannot make environments: its packages venv and ensurepip are missing.\n"
        f"next: sudo apt-get install python{CREATED}-venv\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_old_python_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(bootstrap, "PYTHON", (3, 99))
    assert bootstrap.main([], tmp_path) == 3
    said = capfd.readouterr().err
    assert said.startswith(f"This is Python {platform.python_version()}; labkit needs 3.99 or later, 64 bit.\nnext: ")


def made(file: Path, manifest: object) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bundle.json", json.dumps(manifest))
    return file


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"schema": 2}, "bundle.zip was made by a newer labkit."),
        ([], "bundle.zip is no bundle of labkit, or it is damaged."),
        (
            {"schema": 1, "targets": ["plan9-x64"], "python": ["2.7"]},
            f"bundle.zip is for plan9-x64 with Python 2.7; this is {bootstrap.target()} with Python {CREATED}.",
        ),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: object, message: str
) -> None:
    made(tmp_path / "bundle.zip", manifest)
    assert run(["setup", "--from", str(tmp_path / "bundle.zip")]) == 3
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["setup", "--from", "nowhere.zip"], 3, "Cannot read nowhere.zip: No such file or directory."),
        (["setup", "--for", "linux-x64"], 2, "--for and --python say what a bundle is for."),
        (["setup", "--bundle", "b.zip", "--for", "linux-x46"], 2, "Did you mean linux-x64"),
        (["setup", "--bundle", "b.zip", "--python", "2.7"], 2, "Unknown Python “2.7”."),
        (["doctor", "--code", "x"], 2, "“x” is no readiness code: it has 16 letters and digits."),
    ],
)
def test_what_setup_cannot_use_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == code
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("target", "version", "has", "lacks"),
    [
        ("windows-x64", "3.12", {"colorama", "tzdata"}, {"uvloop"}),
        ("macos-arm64", "3.13", {"uvloop"}, {"colorama", "tzdata"}),
        ("linux-x64", "3.11", {"uvloop"}, {"colorama", "tzdata"}),
    ],
)
def test_packages_are_chosen_by_the_markers_of_the_other_machine(
    tmp_path: Path, target: str, version: str, has: set[str], lacks: set[str]
) -> None:
    needs = (
        "colorama>=0.4; sys_platform == 'win32'\nRequires-Dist: tzdata; platform_system == 'Windows'\n"
        "Requires-Dist: uvloop; sys_platform != 'win32' and extra == 'fast'\nRequires-Dist: never; extra == 'other'"
    )
    with zipfile.ZipFile(tmp_path / "tea-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tea-1.0.dist-info/METADATA", f"Name: tea\nRequires-Dist: {needs}\n\nRequires-Dist: prose\n")
    environment = bundle._environment(target, version)
    found = {each.name for each in bundle._requirements(tmp_path, "tea", environment, {"", "fast"})}
    assert (found & (has | lacks), found - has - lacks) == (has, set())


def test_the_way_to_activate_an_environment_fits_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert bootstrap.activation(Path("/a/b/.venv")) == "source /a/b/.venv/bin/activate.fish"
    monkeypatch.delenv("SHELL")
    assert bootstrap.activation(Path("/a b/O'Neil/.venv")) == "source '/a b/O'\\''Neil/.venv/bin/activate'"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
@given(
    st.dictionaries(st.sampled_from(readiness.CHECKS), st.sampled_from(State)),
    st.dates(date(2026, 1, 1), date(2048, 1, 1)),
)
def test_a_readiness_code_says_what_was_found(states: dict[str, State], day: date) -> None:
    code = readiness.code([Finding(name, state, "") for name, state in states.items()], day)
    assert len(code) == 19
    read = readiness.read(code.lower().replace("-", " ").replace("0", "o").replace("1", "l"))
    repaired = {name: State.OK if state is State.REPAIRED else state for name, state in states.items()}
    assert (read.checks, read.day, read.labkit, read.python) == (repaired, day, __version__, CREATED)
    assert read.ready is (State.PROBLEM not in states.values())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 15), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_code_with_a_letter_wrong_is_refused(place: int, letter: str) -> None:
    letters = readiness.code([Finding("browser", State.PROBLEM, "")], date(2026, 11, 30)).replace("-", "")
    mistyped = letters[:place] + letter + letters[place + 1 :]
    if mistyped == letters:
        assert readiness.read(mistyped).ready is False
    else:
        with pytest.raises(UsageError, match="has a letter wrong"):
            readiness.read(mistyped)


def test_doctor_reads_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [Finding("Python", State.OK, ""), Finding("browser", State.PROBLEM, ""), Finding("uv", State.ADVICE, "")]
    code = readiness.code(findings, date(2026, 11, 30))
    assert run(["doctor", "--code", code]) == 3
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown[0].startswith(f"labkit {__version__}, {platform.system()}, ")
    assert shown[0].endswith(f"Python {CREATED}, on 30 November 2026")
    assert shown[1:] == [
        "✓ Python ok",
        "✗ browser problem",
        "· uv advice",
        "That machine was not ready: browser.",
        "next: on that machine: labkit doctor (says what to do)",
    ]


def alone(arguments: list[str], cwd: Path, network: bool) -> subprocess.CompletedProcess[str]:
    """Run a program as a new account on a machine without uv, where nothing but this machine can be reached."""
    # Who is not root may have a network of one's own in a namespace of one's own, as oneself.
    mapped = ["--map-current-user", "--keep-caps"] if os.geteuid() else []
    wrapped = [] if network else ["unshare", "--net", *mapped, "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
    kept = {name: os.environ[name] for name in ("LANG", "PIP_INDEX_URL", "PIP_CONFIG_FILE") if name in os.environ}
    kept |= {"PATH": f"{cwd / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(cwd / "home"), "TERM": "dumb"}
    (cwd / "home").mkdir(exist_ok=True)
    return subprocess.run([*wrapped, *arguments], cwd=cwd, env=kept, capture_output=True, text=True, timeout=900)


@pytest.mark.by_hand
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("unshare"), reason="needs network namespaces")
def test_a_bundle_sets_a_machine_up_that_reaches_nothing(tmp_path: Path) -> None:
    """Where labkit has never been: by the bundle itself; then once more by the labkit that is there."""
    file = tmp_path / "lab bundle.zip"
    done = subprocess.run(
        [sys.executable, "-m", "labkit", "setup", "--bundle", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    here = tmp_path / "a far place"
    here.mkdir()
    assert alone(["getent", "hosts", "example.org"], here, network=False).returncode != 0
    python = str(Path(sys.executable).resolve())
    first = alone([python, str(file), "--yes"], here, network=False)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "\nThis machine is ready.\nreadiness code: " in first.stdout
    assert first.stdout.endswith(f"    {bootstrap.activation(here / '.venv')}\n")
    labkit = str(here / ".venv" / "bin" / "labkit")
    again = alone([labkit, "setup", "--from", str(file), "--yes", "--format", "json"], here, network=False)
    assert (again.returncode, json.loads(again.stdout)["ready"]) == (0, True), again.stderr
    assert alone([labkit, "start", "ex1"], here, network=False).returncode == 0
    verified = alone([labkit, "verify", "ex1", "--solution", "end", "--task", "2"], here, network=False)
    assert re.search(r"\n(\d+) of \1 checks passed", verified.stdout), verified.stdout + verified.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="the test's environment is that of POSIX")
def test_setup_py_needs_nothing_but_python(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, tmp_path / name)
    done = alone([str(Path(sys.executable).resolve()), "setup.py", "--yes"], tmp_path, network=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nThis machine is ready.\n" in done.stdout
    shown = alone([str(tmp_path / ".venv" / "bin" / "labkit"), "--version"], tmp_path, network=True)
    assert shown.stdout == f"labkit {__version__}\n"
