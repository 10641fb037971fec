"""What `labkit start` puts beside the app in a workspace: packages, the manual, settings of tools, editors' files.

None of it is the app's (`tree.BESIDE` and the ignored folders name it), and all of it can be made again.
"""

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from labkit import documents, manual, snippets
from labkit.changes import FileChange
from labkit.files import Within
from labkit.lab import Exercise, Lab

TEMPLATE = Path(__file__).parent / "templates" / "workspace"

WHEELS = "wheels"


def files(lab: Lab, exercise: Exercise) -> dict[str, bytes]:
    """What is labkit's alone, by its path in the workspace: it is replaced without asking."""
    made: dict[str, bytes] = {}
    if lab.packages:
        from labkit import packages

        for name in lab.packages:
            file_name, content = packages.wheel(name)
            made[f"{WHEELS}/{file_name}"] = content
        made["uv.toml"] = (TEMPLATE / "uv.toml").read_bytes()
    for path, content in manual.files(lab, exercise).items():
        made[f"{manual.FOLDER}/{path}"] = content
    if exercise.snippets:
        made[f".vscode/{exercise.name}.code-snippets"] = documents.json_of(code_snippets(exercise))
    return made


def settings(exercise: Exercise) -> dict[str, bytes]:
    """What a trainee may change, by its path: it is written where it is missing, and then left alone."""
    counts = sorted({1, exercise.app.instances, 2})
    made = {
        ".gitignore": (TEMPLATE / "gitignore").read_bytes(),
        ".vscode/launch.json": documents.json_of(_launch(counts)),
        ".vscode/tasks.json": documents.json_of(_tasks()),
        ".vscode/extensions.json": documents.json_of({"recommendations": ["ms-python.python", "ms-python.debugpy"]}),
        ".vscode/settings.json": documents.json_of({"python.defaultInterpreterPath": sys.executable}),
    }
    for count in counts:
        made[f".idea/runConfigurations/labkit_run_{count}.xml"] = _run_configuration(count)
    return made


def write(lab: Lab, exercise: Exercise, folder: Path) -> None:
    """Write them into the folder, in place of earlier ones of labkit's."""
    for change in changes(lab, exercise, Within(folder)):
        Within(folder).write(change.path, change.after)


def changes(lab: Lab, exercise: Exercise, within: Within) -> list[FileChange]:
    """What of them is missing or of another version: what becomes of each such file."""
    wanted = files(lab, exercise)
    found = [FileChange(path, within.read(path), content) for path, content in wanted.items()]
    for path, content in settings(exercise).items():
        if (before := within.read(path)) is None:
            found.append(FileChange(path, before, content))
    for path in (f"{WHEELS}/{name}" for name in within.names(WHEELS) if name.endswith(".whl")):
        if lab.packages and path not in wanted:  # of another version
            found.append(FileChange(path, within.read(path), None))
    return [change for change in found if change.before != change.after]


def code_snippets(exercise: Exercise) -> dict[str, Any]:
    """Snippets of Visual Studio Code; completing a TODO comment, which is the prefix, replaces it by the code."""
    todos = {todo.name: todo for todo in snippets.todo_lines(exercise.begin)}
    table: dict[str, Any] = {}
    for name, snippet in exercise.snippets.items():
        todo = todos.get(name)
        comment = [_line(exercise.begin / todo.path, todo.line)] if todo else []
        table[name] = {
            "prefix": [*comment, name],
            "description": todo.text if todo else "",
            "body": snippets.editor_body(snippet.text),
        }
    return table


def live_templates(lab: Lab) -> bytes:
    """The lab's snippets as live templates of PyCharm, in the form of its own `templates/NAME.xml`."""
    root = ElementTree.Element("templateSet", group=lab.title)
    for exercise in lab.exercises:
        todos = {todo.name: todo for todo in snippets.todo_lines(exercise.begin)}
        for name, snippet in exercise.snippets.items():
            text = snippet.text.removesuffix("\n").replace("$", "$$")
            variables = snippets.placeholders(snippet.text)
            for number, default in variables.items():
                text = text.replace(f"$${{{number}:{default}}}", f"$V{number}$")
            template = ElementTree.SubElement(
                root,
                "template",
                name=f"{exercise.id}-{name}",
                value=text,
                description=todos[name].text if name in todos else "",
                toReformat="false",
                toShortenFQNames="false",
            )
            for number, default in variables.items():
                quoted = default.replace("\\", "\\\\").replace('"', '\\"')
                ElementTree.SubElement(
                    template,
                    "variable",
                    name=f"V{number}",
                    expression="",
                    defaultValue=f'"{quoted}"',
                    alwaysStopAt="true",
                )
            context = ElementTree.SubElement(template, "context")
            ElementTree.SubElement(context, "option", name="OTHER", value="true")
            ElementTree.SubElement(context, "option", name="Python", value="true")
            ElementTree.SubElement(context, "option", name="HTML", value="true")
            ElementTree.SubElement(context, "option", name="JAVA_SCRIPT", value="true")
    return _xml(root)


def _line(path: Path, number: int) -> str:
    return path.read_text(encoding="utf-8-sig").split("\n")[number - 1].strip()


def _launch(counts: list[int]) -> dict[str, Any]:
    """F5: the app under the debugger, as `labkit run` runs it; the instances are its subprocesses."""
    return {
        "version": "0.2.0",
        "configurations": [
            {
                "name": f"labkit run ({count} instance{'s' if count > 1 else ''})",
                "type": "debugpy",
                "request": "launch",
                "module": "labkit",
                "args": ["run", "--instances", str(count)],
                "cwd": "${workspaceFolder}",
                "console": "integratedTerminal",
                "subProcess": True,
                "justMyCode": True,
            }
            for count in counts
        ],
    }


def _tasks() -> dict[str, Any]:
    return {
        "version": "2.0.0",
        "tasks": [
            {
                "label": f"labkit {command}",
                "type": "process",
                "command": "${command:python.interpreterPath}",
                "args": ["-m", "labkit", command],
                "problemMatcher": [],
                **({"group": {"kind": "test", "isDefault": True}} if command == "verify" else {}),
            }
            for command in ("verify", "list", "diff", "undo", "pack")
        ],
    }


def _run_configuration(count: int) -> bytes:
    root = ElementTree.Element("component", name="ProjectRunConfigurationManager")
    name = f"labkit run ({count} instance{'s' if count > 1 else ''})"
    configuration = ElementTree.SubElement(
        root, "configuration", default="false", name=name, type="PythonConfigurationType", factoryName="Python"
    )
    ElementTree.SubElement(configuration, "module", name="")
    for key, value in {
        "PARENT_ENVS": "true",
        "WORKING_DIRECTORY": "$PROJECT_DIR$",
        "IS_MODULE_SDK": "true",
        "SCRIPT_NAME": "labkit",
        "PARAMETERS": f"run --instances {count}",
        "EMULATE_TERMINAL": "true",
        "MODULE_MODE": "true",
    }.items():
        ElementTree.SubElement(configuration, "option", name=key, value=value)
    ElementTree.SubElement(configuration, "method", v="2")
    return _xml(root)


def _xml(root: ElementTree.Element) -> bytes:
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode").encode("utf-8") + b"\n"
