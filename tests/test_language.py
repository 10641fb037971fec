"""What labkit says in another language: every message has its translation, and what programs read stays as it is."""

import json
import re
import shutil
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from labkit import language, manual, prose, workspace
from labkit.author import texts
from labkit.cli import run, verdict
from labkit.lab import Exercise, find_lab
from labkit.language import Catalogue, Messages
from labkit.live.guide import Guide
from labkit.report import Heading, steps
from labkit.report.evidence import Entry, Evidence, Log, Recording
from labkit.report.page import render
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict

ROOT = Path(__file__).parent.parent
EX1 = find_lab(ROOT).exercises[0]
CATALOGUES = {
    ROOT / "labkit/locale/es/LC_MESSAGES/labkit.po": lambda: texts.of_package(ROOT / "labkit"),
    ROOT / "locale/es/LC_MESSAGES/lab.po": lambda: texts.of_exercise(EX1),
}
each_catalogue = pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def spanish(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of Spanish."""
    monkeypatch.setenv(language.VARIABLE, "es_ES.UTF-8")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of exercise 1, made for a reader of English."""
    return workspace.create(find_lab(ROOT), EX1, tmp_path_factory.mktemp("new") / EX1.name).folder


@pytest.fixture
def mine(new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of one's own, in which the terminal stands."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "kept"))
    monkeypatch.setenv("LABKIT_LAB", str(ROOT))
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / EX1.name
    shutil.copytree(new, folder, ignore=shutil.ignore_patterns("wheels", "pictures"))
    monkeypatch.chdir(folder)
    return folder


def exercise() -> Exercise:
    """Exercise 1 as a reader of Spanish has it."""
    return find_lab(ROOT).exercises[0]


def messages(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        return Messages(file).all


# Whole


def missing(path: Path) -> list[str]:
    wanted = {message.text for found in CATALOGUES[path]().values() for message in found}
    return sorted(wanted - set(messages(path)))


@each_catalogue
def test_no_message_is_missed(path: Path) -> None:
    """After a change of messages: `python tools/texts.py`, which says what a translator has left."""
    assert missing(path) == []


@each_catalogue
def test_a_translation_has_no_field_that_its_message_has_not(path: Path) -> None:
    def fields(text: str) -> set[str]:
        return set(re.findall(r"\{\w*\}", text.replace("{{", "").replace("}}", "")))

    assert [text for text, said in messages(path).items() if fields(said) - fields(text)] == []


@each_catalogue
def test_a_translation_has_the_markup_code_and_links_of_its_message(path: Path) -> None:
    def kept(text: str) -> list[str]:
        markup = r"\[(?:/|bold|dim|red|green|yellow|cyan)[a-z ]*(?:\{style\})?\]"
        return sorted(re.findall(rf"{markup}|\]\([^)]+\)|</?kbd>|--[a-z][a-z-]+|`[^`]*`", text))

    assert [text for text, said in messages(path).items() if kept(text) != kept(said)] == []


ENGLISH = re.compile(r"\b(?:the|and|is|are|not|you|your|with|what|which|there|this|that|where|does|was|were)\b", re.I)


@each_catalogue
def test_what_is_translated_is_no_english_any_more(path: Path) -> None:
    quoted = re.compile(r"`[^`]*`|\*\*[^*]*\*\*|No results yet\.|TODO .*|Show that|\{\w*\}")
    assert [said for said in messages(path).values() if ENGLISH.search(quoted.sub("", said))] == []


COMMANDS = [
    "list",
    "next",
    "hint --level 3",
    "status",
    "snippet list",
    "snippet show notify-updates-method",
    "snippet insert signalr-package",
    "snippet insert signalr-package",
    "snippet insert nothing",
    "snippet insert map-signalr --set <x>",
    "diff --stat",
    "solve",
    "solve --to 2",
    "undo",
    "undo",
    "undo",
    "reset",
    "reset nothing.py",
    "verify --task 9",
    "verify ex2",
    "start ex9",
    "chapter 2",
    "chapter coffee",
    "doctor --code x",
    "setup --for x",
    "pack /proc/work.zip --name Ada",
    "update --dry-run",
    "list ex1",
    "new exercise 1",
    "grade nothing",
    "grade . --exercise ex1 --jobs 0",
    "class hand",
    "class send",
    "author end --exercise ex7",
    "author mutants --part 5/4",
]


@pytest.mark.slow
def test_no_command_says_anything_in_english(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside code, the TODO lines in it, and what it is about."""
    data = [
        todo
        for path in EX1.begin.rglob("*")
        if path.suffix in (".py", ".js", ".html", ".toml") and path.is_file()
        for todo in _todos(path)
    ]
    for command in COMMANDS:
        run(command.split())
        said = "\n".join(capsys.readouterr())
        assert said.strip(), command
        for text in data:
            said = said.replace(text, "")
        code = re.compile(
            r"(?m)^ {2,}[+\- ].*$|`[^`]*`|\"\"\".*\"\"\"|^[+-].*$|^ *(?:async def|await|hub|//|const|\}).*$"
        )
        left = [line for line in code.sub("", said).splitlines() if ENGLISH.search(line)]
        assert left == [], command


def _todos(path: Path) -> list[str]:
    return re.findall(r"TODO [\w-]+: (.*?)(?: #\}| -->)?$", path.read_text(encoding="utf-8"), re.MULTILINE)


def _helps() -> list[str]:
    return [
        "",
        *(
            f"{name} "
            for name in (
                *("start", "verify", "run", "snippet insert", "next", "hint", "db", "db shell", "diff"),
                *("guide", "grade", "class", "class join", "new exercise", "author", "author mutants"),
            )
        ),
    ]


@pytest.mark.parametrize("command", _helps())
def test_the_help_of_a_command_is_translated(command: str, mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    rest = re.sub(r"Usage: .*|LISTEN.*|NOTIFY.*|--\S+|echo .*", "", shown)
    assert "Mostrar este mensaje y salir." in shown
    if command:
        assert [line for line in rest.splitlines() if ENGLISH.search(line)] == []


# A verdict


def test_a_verdict_is_told_in_the_readers_language(capsys: pytest.CaptureFixture[str], mine: Path) -> None:
    check = Check("ex1.2/hub", "The hub accepts the connection of a signed-in user.", "ex1.2", 30)
    result = Result(
        Verdict.NOT_DONE,
        expected="the hub accepts the connection",
        seen="the answer 404",
        where="POST /signalr/statistics/negotiate, as ada",
        cause="the TODO line map-signalr is still at geekquiz/startup.py:32 "
        "(if you have typed the code: is the file saved?)",
        next="labkit snippet insert map-signalr",
    )
    verdict.show(Report("ex1", "workspace", 20, (TaskReport("ex1.2", exercise().tasks[1].title, ((check, result),)),)))
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "ex1.2 Añadir SignalR a Geek Quiz para mostrar gráficos en vivo",
        "✗ El hub acepta la conexión de un usuario con sesión iniciada. no hecho",
        "",
        "no hecho El hub acepta la conexión de un usuario con sesión iniciada.",
        "esperado el hub acepta la conexión",
        "visto la respuesta 404",
        "dónde POST /signalr/statistics/negotiate, como ada",
        "causa la línea TODO map-signalr sigue en geekquiz/startup.py:32 "
        "(si has tecleado el código: ¿está guardado el fichero?)",
        "",
        "0 de 1 comprobaciones superadas, en 20.0 s.",
        "siguiente: labkit snippet insert map-signalr",
    ]


def test_what_programs_read_stays_english(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snippet", "list", "--format", "json"]) == 0
    row = json.loads(capsys.readouterr().out)["exercises"][0]["snippets"][0]
    assert (row["state"], row["todo"]) == ("todo", "add the package asgi-signalr")
    assert run(["snippet", "insert", "nothing", "--format", "json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"].startswith("Unknown snippet “nothing” in ex1.")
    assert str(Verdict.NOT_DONE) == "not done"


# Pages


async def test_the_guide_is_in_the_readers_language(mine: Path) -> None:
    app = Guide(find_lab(ROOT), mine, "key").app(8000)
    transport, key = httpx.ASGITransport(app), {"Authorization": "Bearer key"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        page, script = (await client.get("/")).text, (await client.get("/texts.js")).text
        chapter = (await client.get("/api/chapter/ex1", headers=key)).json()
        refused = (await client.post("/api/do/ex1", headers=key, json={"do": "hint", "step": "ex1.9"})).json()
        inserted = await client.post("/api/do/ex1", headers=key, json={"do": "insert", "name": "signalr-package"})
    assert page.startswith('<!doctype html>\n<html lang="es">')
    assert "{{" not in page
    assert ENGLISH.findall(re.sub(r"<[^>]+>", "", page)) == []
    said = json.loads(re.findall(r"^const texts = (.+);$", script, re.MULTILINE)[0])
    assert (said["Verify this task"], said["Running, healthy."]) == (
        "Verificar esta tarea",
        "En marcha, sin problemas.",
    )
    assert [text for text in said.values() if ENGLISH.search(re.sub(r"`[^`]*`|\{\w*\}", "", text))] == []
    assert chapter["title"] == "Trabajar con datos en tiempo real usando SignalR"
    assert refused["error"]["message"] == "No existe el paso ex1.9."
    assert inserted.json()["message"] == "Insertado signalr-package en pyproject.toml, línea 9."


def test_no_word_that_the_guides_script_shows_is_left_to_itself() -> None:
    script = (ROOT / "labkit/live/static/guide.js").read_text(encoding="utf-8")
    shown = r"""(?:textContent|title|placeholder|alt|"aria-label"): ["`](?!\$\{|labkit )\w|(?:pressed|show|say)\(["`]"""
    assert re.findall(shown, script) == []


def test_a_report_is_in_the_readers_language() -> None:
    verdicts = {
        "The hub refuses whoever has not logged in.": Result(
            Verdict.NOT_DONE,
            expected="the hub accepts the connection",
            seen="the answer 404",
            next="labkit snippet insert map-signalr",
        ),
        "The hub accepts the connection of a signed-in user.": Result(Verdict.PASSED),
    }
    checks = tuple((Check(title, title, "ex1.2", 30), result) for title, result in verdicts.items())
    report = Report("ex1", "workspace", 20, (TaskReport("ex1.2", exercise().tasks[1].title, checks),))
    heading = Heading(exercise().title, "ex1-realtime", datetime(2026, 11, 30, 12), "0.1", "SignalR", "+ # the end")
    log = Log("instance-1.log", "the app said", "3 lines")
    entry = Entry(0, "step", steps.in_words("click", {"selector": "text=Play"}) or "")
    recording = Recording("player", (), (entry,), 0)
    page = render(report, heading, Evidence(recordings=(recording,), logs=(log,)))
    shown = re.sub(r"<style>.*?</style>|<[^>]+>|# the end|the app said", "", page, flags=re.DOTALL)
    assert '<html lang="es">' in page
    assert "1 de 2 comprobaciones superadas" in shown
    assert "hacer clic en text=Play" in shown
    assert [line for line in shown.splitlines() if ENGLISH.search(line)] == []


# The chapter


def test_the_chapter_has_the_same_steps_commands_and_code_in_every_language(monkeypatch: pytest.MonkeyPatch) -> None:
    def shape(exercise: Exercise) -> list[object]:
        chapter = exercise.chapter
        steps = [(step.id, step.number, step.commands, step.inserted) for task in chapter.tasks for step in task.steps]
        blocks = [(block.info, block.code) for block in chapter.blocks if block.info != ("text", "output")]
        return [chapter.minutes, steps, blocks]

    spanish_ = exercise()
    assert spanish_.title == "Trabajar con datos en tiempo real usando SignalR"
    assert spanish_.tasks[1].steps[0].text.startswith("Declara el paquete asgi-signalr en pyproject.toml")
    monkeypatch.delenv(language.VARIABLE)
    assert shape(spanish_) == shape(EX1)


def test_what_a_command_prints_is_in_the_chapter_as_it_prints_it() -> None:
    outputs = [block.code for block in exercise().chapter.blocks if block.info == ("text", "output")]
    assert "Insertado signalr-package en pyproject.toml, línea 9.\n…\n" in outputs
    assert "…\n9 de 9 comprobaciones superadas, en 14.2 s.\n…\n" in outputs


def test_a_new_workspace_has_the_manual_in_the_readers_language() -> None:
    lab = find_lab(ROOT)
    text = manual.files(lab, lab.exercises[0])["README.md"].decode()
    assert text.startswith("# Ejercicio 1: Trabajar con datos en tiempo real usando SignalR\n\n*Unos 30 minutos*\n")
    assert [line for line in text.split("\n") if len(line) > 120 and not line.lstrip().startswith(("![", "#"))] == []
    assert re.findall(r"\]\(([^)]+)\)", text) == re.findall(
        r"\]\(([^)]+)\)", re.sub(r"\.\./\.\./docs/", "", EX1.chapter.source).replace("](lab.md", "](lab.md")
    )


# How it is done


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Port 8000 is in use by python3.", "El puerto 8000 lo está usando python3."),
        ("[bold red]Port 8000 is in use.[/]", "[bold red]El puerto 8000 está en uso.[/]"),
        ("Nothing is known of this.", "Nothing is known of this."),
        ("  ids of tasks and checks", "  ids de tareas y comprobaciones"),
        ("Nothing is known of this. Restore it.", "Nothing is known of this. Recupéralo."),
        ("3 | the app said the app", "3 | the app said the app"),
    ],
)
def test_a_message_is_known_by_its_template(said: str, told: str) -> None:
    assert language.translated(said) == told


def test_fields_are_translated_in_turn_and_braces_are_letters() -> None:
    catalogue = Catalogue(
        {"{who} ended {how}: {{}}": "{how} {who} {{}}", "The app": "La aplicación", "{} of {}": "{} de {}"}
    )
    assert catalogue.find("The app ended at 3: {}") == "at 3 La aplicación {}"
    assert catalogue.find("2 of 3") == "2 de 3"


def test_a_catalogue_skips_what_a_translator_has_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "tea.po"
    path.write_text(
        '# Tea\n\nmsgid ""\n"Tea\\n"\nmsgstr ""\n"Té\\n"\n\n#: a.py\n#, fuzzy\nmsgid "cup"\nmsgstr "plato"\n\n'
        'msgid "pot"\nmsgstr ""\n',
        encoding="utf-8",
    )
    assert messages(path) == {"Tea\n": "Té\n"}


def test_a_choice_within_a_message_makes_two() -> None:
    source = (
        'def f():\n    say(f"{n} file{\'s are\' if n > 1 else \' is\'} gone" + (f" from {place}" if place else ""))\n'
    )
    assert [message.text for message in texts.of_source(source)] == [
        "{n} files are gone from {place}",
        "{n} files are gone",
        "{n} file is gone from {place}",
        "{n} file is gone",
    ]


PAGE = """\
# Tea

1. Pour the tea.
   Slowly.

   ```console
   $ Pour the tea.
   ```

   > **Note** Hot

| a cup |
|---|
| a pot |
"""


def test_a_page_keeps_its_code_marks_and_lines() -> None:
    said = {
        "Tea": "Té",
        "Pour the tea. Slowly.": f"Sirve {'despacio ' * 14}el té.",
        "**Note** Hot": "**Nota** Quema",
        "a pot": "una tetera",
    }
    told = prose.translated(PAGE, lambda text: said.get(text, text))
    assert told.split("\n")[2:5] == [f"1. Sirve {' '.join(['despacio'] * 12)}", "   despacio despacio el té.", ""]
    assert [line for line in told.split("\n") if "despacio" not in line] == [
        *("# Té", "", "", "   ```console", "   $ Pour the tea.", "   ```", "", "   > **Nota** Quema", ""),
        *("| a cup |", "|---|", "| una tetera |", ""),
    ]
