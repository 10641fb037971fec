"""The built wheels stand alone: in an empty environment, away from the checkout, they give the whole lab."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
LAB = ("lab.toml", "exercises", "snippets", "locale", "docs/lab.md", "docs/concepts")
UV = os.environ.get("UV", "uv")  # `uv run` says which one it is


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git knows, as they are in the checkout now, in a folder that a build may litter."""
    folder = tmp_path_factory.mktemp("source")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CHECKOUT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def lab_files(source: Path) -> dict[str, bytes]:
    """The lab's files by path, one dotted file in a dotted folder among them; rubbish is put beside them."""
    (source / "exercises" / ".hidden").mkdir()
    (source / "exercises" / ".hidden" / ".file").write_bytes(b"dotted\r\n")
    files = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for name in LAB
        for path in [source / name, *(source / name).rglob("*")]
        if path.is_file()
    }
    rubbish = (source / ".gitignore").read_text(encoding="utf-8").split()
    for pattern in rubbish:
        name = pattern.replace("*", "rubbish")
        path = source / "exercises" / "ex1-realtime" / "begin" / name
        if pattern.endswith("/"):
            path = path / "rubbish.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"rubbish")
    stale = source / "build" / "lib" / "labkit" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    return files


@pytest.fixture(scope="module")
def wheels(source: Path, lab_files: dict[str, bytes]) -> dict[str, Path]:
    """Both wheels, by the name of their distribution."""
    out = source / "wheels"
    for project in (source, source / "asgi-signalr"):
        run([UV, "build", "--wheel", "--quiet", "--out-dir", str(out), str(project)], cwd=source)
    return {path.name.partition("-")[0]: path for path in out.glob("*.whl")}


def run(command: list[str], cwd: Path, **environment: str) -> str:
    """Run a command as a stranger to the checkout would; what it prints is returned, or shown if it fails."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "LABKIT_", "UV_TOOL", "XDG_"))
        and name not in ("PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT")
    }
    done = subprocess.run(
        command, cwd=cwd, env=kept | environment, capture_output=True, text=True, encoding="utf-8", timeout=150
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def members(wheel: Path, under: str = "") -> dict[str, bytes]:
    """The files of a wheel below a folder, by their path there."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(under) and not name.endswith("/")]
        return {name.removeprefix(under): archive.read(name) for name in names}


@pytest.mark.slow
def test_the_wheel_carries_the_lab_as_git_has_it(wheels: dict[str, Path], lab_files: dict[str, bytes]) -> None:
    assert members(wheels["handson_labkit"], "labkit/_lab/") == lab_files


def test_labkits_wheel_has_its_modules_templates_and_types_and_nothing_of_an_earlier_build(
    wheels: dict[str, Path], source: Path, lab_files: dict[str, bytes]
) -> None:
    expected = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in (source / "labkit").rglob("*")
        if path.is_file()
    }
    assert {"labkit/py.typed", "labkit/templates/workspace/uv.toml"} <= set(expected)
    found = members(wheels["handson_labkit"])
    carried = {name for name in found if name.startswith(("labkit/_lab/", "handson_labkit-"))}
    assert {name: content for name, content in found.items() if name not in carried} == expected


def test_the_hub_librarys_wheel_has_the_browser_client_and_its_types(wheels: dict[str, Path], source: Path) -> None:
    package = source / "asgi-signalr" / "src" / "asgi_signalr"
    expected = {
        f"asgi_signalr/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in package.rglob("*")
        if path.is_file()
    }
    client = {f"asgi_signalr/client/{name}" for name in ("signalr.js", "signalr.min.js", "LICENSE.txt", "VERSION.json")}
    assert {"asgi_signalr/py.typed", *client} <= set(expected)
    found = members(wheels["asgi_signalr"])
    assert {name: content for name, content in found.items() if not name.startswith("asgi_signalr-")} == expected


@pytest.mark.slow
def test_a_wheel_made_from_the_source_distribution_is_the_same(
    wheels: dict[str, Path], source: Path, lab_files: dict[str, bytes], tmp_path: Path
) -> None:
    run([UV, "build", "--quiet", "--out-dir", str(tmp_path), str(source)], cwd=source)
    (archive,), (wheel,) = tmp_path.glob("*.tar.gz"), tmp_path.glob("*.whl")
    with tarfile.open(archive) as packed:
        paths = [name.partition("/")[2] for name in packed.getnames() if packed.getmember(name).isfile()]
    assert {path for path in paths if path.startswith(LAB)} == set(lab_files)
    assert members(wheel, "labkit/") == members(wheels["handson_labkit"], "labkit/")


@pytest.mark.slow
def test_a_labkit_that_is_installed_as_a_tool_starts_and_verifies_an_exercise_without_the_checkout(
    wheels: dict[str, Path], lab_files: dict[str, bytes], tmp_path: Path
) -> None:
    """For an account whose home is empty: the tool's own environment, and `labkit` in the folder for programs."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = tmp_path / "pins.txt"
    pins.write_text("\n".join(project["tool"]["uv"]["constraint-dependencies"]), encoding="utf-8")
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    cache = run([UV, "cache", "dir", "--color", "never"], cwd=here).strip()  # what was downloaded already
    fresh = {"HOME": str(home), "USERPROFILE": str(home), "APPDATA": str(home / "app"), "UV_CACHE_DIR": cache}

    install = [UV, "tool", "install", "--quiet", "--python", sys.executable, "--constraints", str(pins)]
    run([*install, str(wheels["handson_labkit"]), "--with", str(wheels["asgi_signalr"])], cwd=here, **fresh)
    venv = Path(run([UV, "tool", "dir"], cwd=here, **fresh).strip()) / "handson-labkit"
    programs = Path(run([UV, "tool", "dir", "--bin"], cwd=here, **fresh).strip())
    scripts = venv / ("Scripts" if os.name == "nt" else "bin")
    assert (venv.is_relative_to(home), programs.is_relative_to(home)) == (True, True)

    def labkit(*arguments: str) -> str:
        return run([str(programs / "labkit"), *arguments], cwd=here, **fresh)

    # The environment's own code is used: nothing on the path leads to the checkout.
    code = "import json, sys, labkit, asgi_signalr as a; print(json.dumps([labkit.__file__, a.__file__, *sys.path]))"
    paths = [Path(path).resolve() for path in json.loads(run([str(scripts / "python"), "-c", code], cwd=here)) if path]
    assert [path for path in paths[:2] if not path.is_relative_to(venv.resolve())] == []
    assert [path for path in paths if path.is_relative_to(CHECKOUT.resolve())] == []

    assert labkit("--version") == f"labkit {project['project']['version']}\n"
    started = json.loads(labkit("start", "ex1", "--format", "json"))
    workspace = here / "ex1-realtime"
    assert started["workspace"] == str(workspace.resolve())
    begin = "exercises/ex1-realtime/begin/"
    for path, content in lab_files.items():
        if path.startswith(begin):
            assert (workspace / path.removeprefix(begin)).read_bytes() == content, path

    verified = json.loads(labkit("verify", "ex1", "--solution", "end", "--format", "json"))
    checks = [check for task in verified["tasks"] for check in task["checks"]]
    assert (verified["exercise"], verified["solution"], verified["passed"]) == ("ex1", "end", True)
    assert {task["id"] for task in verified["tasks"]} == {"ex1.1", "ex1.2", "ex1.3"}
    assert len(checks) > 3
    assert [check for check in checks if check["verdict"] != "passed"] == []
