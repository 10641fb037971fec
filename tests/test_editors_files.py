"""What a workspace has for editors: Visual Studio Code's files by their schemas, PyCharm's as well-formed XML."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal
from xml.etree import ElementTree

import msgspec
import pytest

from labkit import companions, snippets, workspace
from labkit.cli import run
from labkit.lab import Exercise, Lab, find_lab

HERE = find_lab()


@pytest.fixture
def folder(tea: Lab, brew: Exercise, tmp_path: Path) -> Path:
    """A new workspace's folder."""
    return workspace.create(tea, brew, tmp_path / "mine").folder


class Snippet(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A code snippet, in the form of a `.code-snippets` file."""

    body: str | list[str]
    prefix: str | list[str] = ""
    description: str | list[str] = ""
    scope: str = ""
    is_file_template: bool = False


class Group(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """What a task counts as."""

    kind: Literal["build", "test", "none"]
    is_default: bool = False


class Task(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A task that runs a program; of the many keys that there are, those that labkit may write."""

    label: str
    type: Literal["process", "shell"]
    command: str
    args: list[str] = []
    group: Group | Literal["build", "test", "none"] = "none"
    problem_matcher: str | list[str] = []
    options: dict[str, Any] = {}
    is_background: bool = False
    presentation: dict[str, Any] = {}
    depends_on: str | list[str] = []


class Tasks(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """tasks.json."""

    version: Literal["2.0.0"]
    tasks: list[Task]
    inputs: list[Any] = []


class Launch(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A launch configuration of the Python debugger, debugpy."""

    name: str
    type: Literal["debugpy"]
    request: Literal["launch"]
    module: str
    args: list[str] | str = []
    cwd: str = ""
    console: Literal["internalConsole", "integratedTerminal", "externalTerminal"] = "integratedTerminal"
    env: dict[str, str] = {}
    sub_process: bool = True
    just_my_code: bool = True


class Launches(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """launch.json."""

    version: Literal["0.2.0"]
    configurations: list[Launch]
    compounds: list[Any] = []


Extension = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9A-Z][a-z0-9-A-Z]*\.[a-z0-9A-Z][a-z0-9-A-Z]*$")]


class Extensions(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """extensions.json."""

    recommendations: list[Extension] = []
    unwanted_recommendations: list[Extension] = []


class Settings(msgspec.Struct, forbid_unknown_fields=True, rename={"interpreter": "python.defaultInterpreterPath"}):
    """settings.json, of which labkit writes one."""

    interpreter: str


FORMS = {
    ".code-snippets": dict[str, Snippet],
    "tasks.json": Tasks,
    "launch.json": Launches,
    "extensions.json": Extensions,
    "settings.json": Settings,
}
"""What the editor reads, by the end of the file's name: its documentation's keys and types, and no other key."""


@pytest.mark.parametrize("exercise", HERE.exercises, ids=lambda exercise: exercise.id)
def test_every_file_for_visual_studio_code_has_the_form_that_it_reads(exercise: Exercise) -> None:
    made = {**companions.files(HERE, exercise), **companions.settings(exercise)}
    seen = set()
    for path, content in made.items():
        if path.startswith(".vscode/"):
            (end,) = (end for end in FORMS if path.endswith(end))
            msgspec.convert(json.loads(content), FORMS[end])
            seen.add(end)
    assert seen == set(FORMS)


@pytest.mark.parametrize("exercise", HERE.exercises, ids=lambda exercise: exercise.id)
def test_every_file_for_pycharm_is_well_formed(exercise: Exercise) -> None:
    made = {**companions.files(HERE, exercise), **companions.settings(exercise)}
    roots = {path: ElementTree.fromstring(content).tag for path, content in made.items() if path.endswith(".xml")}
    assert set(roots.values()) == {"component"}
    assert {path.split("/")[0] for path in roots} == {".idea"}
    assert ElementTree.fromstring(companions.live_templates(HERE)).tag == "templateSet"


def read(folder: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / ".vscode" / name).read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("exercise", HERE.exercises, ids=lambda exercise: exercise.id)
def test_completing_a_todo_comment_replaces_it(exercise: Exercise) -> None:
    """The first prefix is the whole comment, as it stands in begin: what is completed takes its place."""
    table = companions.code_snippets(exercise)
    lines = {
        line.strip()
        for todo in snippets.todo_lines(exercise.begin)
        for line in (exercise.begin / todo.path).read_text(encoding="utf-8").split("\n")
    }
    assert list(table) == list(exercise.snippets)
    for name, entry in table.items():
        comment, short = entry["prefix"]
        assert (comment in lines, f"TODO {name}:" in comment, short) == (True, True, name)
        assert set(entry) == {"prefix", "description", "body"}
        assert all(isinstance(line, str) for line in entry["body"])


def test_f5_runs_the_app_with_one_and_with_two_instances(folder: Path) -> None:
    launch = read(folder, "launch.json")
    assert launch["version"] == "0.2.0"
    assert [(each["name"], each["module"], each["args"]) for each in launch["configurations"]] == [
        ("labkit run (1 instance)", "labkit", ["run", "--instances", "1"]),
        ("labkit run (2 instances)", "labkit", ["run", "--instances", "2"]),
    ]
    assert {(each["type"], each["request"]) for each in launch["configurations"]} == {("debugpy", "launch")}
    assert {each["subProcess"] for each in launch["configurations"]} == {True}


def test_the_tasks_are_labkits_commands(folder: Path) -> None:
    from typer.core import TyperGroup
    from typer.main import get_command

    from labkit.cli import app

    group = get_command(app)
    assert isinstance(group, TyperGroup)
    known = set(group.commands)
    tasks = read(folder, "tasks.json")
    assert tasks["version"] == "2.0.0"
    assert {task["args"][2] for task in tasks["tasks"]} <= known
    assert [task["label"] for task in tasks["tasks"] if task.get("group") == {"kind": "test", "isDefault": True}] == [
        "labkit verify"
    ]


def test_settings_that_a_trainee_changed_are_left_alone(tea: Lab, brew: Exercise, folder: Path) -> None:
    (folder / ".vscode" / "launch.json").write_text("mine")
    (folder / ".vscode" / "a1-brew.code-snippets").write_text("old")
    companions.write(tea, brew, folder)
    assert (folder / ".vscode" / "launch.json").read_text() == "mine"
    assert read(folder, "a1-brew.code-snippets") == companions.code_snippets(brew)


def test_pycharm_has_a_run_configuration_for_each_number_of_instances(folder: Path) -> None:
    for count in (1, 2):
        path = folder / ".idea" / "runConfigurations" / f"labkit_run_{count}.xml"
        (configuration,) = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        options = {option.get("name"): option.get("value") for option in configuration.iter("option")}
        assert (options["SCRIPT_NAME"], options["MODULE_MODE"], options["PARAMETERS"]) == (
            "labkit",
            "true",
            f"run --instances {count}",
        )


def test_a_live_template_has_the_snippet_and_its_placeholders(tea: Lab) -> None:
    root = ElementTree.fromstring(companions.live_templates(tea))
    assert (root.tag, root.get("group")) == ("templateSet", "Tea")
    pour, label = root.findall("template")
    assert (pour.get("name"), pour.get("value")) == ("a1-pour", 'cup = "$V1$"\n\nprint(cup)')
    assert [dict(each.items()) for each in pour.findall("variable")] == [
        {"name": "V1", "expression": "", "defaultValue": '"green"', "alwaysStopAt": "true"}
    ]
    assert (label.get("description"), label.findall("variable")) == ("say whose cup it is", [])


def test_live_templates_are_put_into_every_pycharm_after_a_yes(
    tea: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "JetBrains"
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("LABKIT_LAB", str(tea.folder))
    assert run(["setup", "--pycharm", "--yes"]) == 2
    assert "There are no settings of PyCharm in your home folder." in capsys.readouterr().err
    for name in ("PyCharm2026.2", "PyCharmCE2025.3", "GoLand2026.2"):
        (base / name).mkdir(parents=True)
    assert run(["setup", "--pycharm"]) == 2  # there is no terminal to ask on
    assert list(base.rglob("*.xml")) == []
    assert run(["setup", "--pycharm", "--yes"]) == 0
    assert {path.relative_to(base).as_posix(): path.read_bytes() for path in base.rglob("*.xml")} == {
        f"{name}/templates/Tea.xml": companions.live_templates(tea) for name in ("PyCharm2026.2", "PyCharmCE2025.3")
    }
