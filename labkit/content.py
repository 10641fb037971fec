"""What holds for the content of every lab: begin plus snippets is end, names agree, each task has its checks.

An author runs these checks over a lab as a test; `labkit new` makes labs that pass them at once.
"""

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from labkit import insertion, snippets, tree
from labkit.author import surroundings
from labkit.changes import Change, FileChange
from labkit.declared import checks
from labkit.errors import LabError, UsageError
from labkit.files import read_text
from labkit.lab import Exercise, Lab
from labkit.snippets import TodoLine


def check_problems(exercise: Exercise) -> list[str]:
    """What is wrong with an exercise's checks, as far as their source tells, each as a sentence."""
    return list(_check_problems(exercise)) if exercise.checks.is_dir() else []


def problems(lab: Lab) -> list[str]:
    """Everything that is wrong with the lab's content, each as a sentence; empty if all is well."""
    found = [f"Two exercises have the id {id_}." for id_, n in Counter(e.id for e in lab.exercises).items() if n > 1]
    if not lab.exercises:
        found.append("lab.toml names no exercise.")
    for exercise in lab.exercises:
        found += [f"{exercise.name}: {problem}" for problem in _problems(lab, exercise)]
    return found


def remade(lab: Lab, exercises: Sequence[Exercise]) -> Change:
    """The change that makes the ends of these exercises anew, in this order; its paths begin at the lab's folder.

    An exercise that continues another begins with that one's end: its begin follows, but for the files with TODO lines,
    which are written by hand. Raises UsageError if a folder to make from is missing or a snippet cannot be inserted.
    """
    made: dict[Path, Mapping[str, bytes]] = {}
    for exercise in exercises:
        begin = _source(exercise.begin, "Every exercise has one: the app that a trainee starts from.")
        if exercise.continues:
            former = lab.exercise(exercise.continues)
            end = made.get(former.end) or _source(former.end, f"labkit author end {former.id}")
            by_hand = {todo.path: begin[todo.path] for todo in snippets.todo_lines(exercise.begin)}
            begin = {**end, **by_hand}
            made[exercise.begin] = begin
        made[exercise.end] = begin | _filled(exercise)
    return Change(
        f"make the end of {', '.join(exercise.id for exercise in exercises)}",
        tuple(file for folder, after in made.items() for file in _file_changes(lab, folder, after)),
    )


def _problems(lab: Lab, exercise: Exercise) -> Iterator[str]:
    chapter = exercise.folder / "README.md"
    if not chapter.is_file():
        yield "there is no chapter, README.md."
        return
    try:
        read_text(chapter)
    except UsageError as error:
        yield error.message
        return
    missing = [each for each in (exercise.begin, exercise.end, exercise.checks) if not each.is_dir()]
    yield from (f"there is no folder {folder.name}/." for folder in missing)
    if exercise.begin in missing or exercise.end in missing:
        return
    unreadable = list(_encoding_problems(exercise))
    yield from unreadable
    if unreadable:
        return
    yield from _app_problems(exercise)
    yield from _snippet_problems(exercise)
    yield from _equation_problems(lab, exercise)
    yield from _check_problems(exercise)
    yield from _chapter_problems(exercise)
    numbers = [task.id.rpartition(".")[2] for task in exercise.tasks]
    yield from (
        f"exercise.toml gives points for task {each}, which is not there."
        for each in exercise.points
        if each not in numbers
    )


def _encoding_problems(exercise: Exercise) -> Iterator[str]:
    # Of the app's files those that are meant to have TODO lines, in UTF-16 as well: an app has files that are no text.
    files = [exercise.begin / path for path in tree.app_files(exercise.begin)]
    todo = [path for path in files if b"TODO" in path.read_bytes().replace(b"\0", b"")]
    code = [snippet.path for snippet in exercise.snippets.values()]
    for path in [*todo, *code, *sorted(exercise.checks.rglob("*.py"))]:
        try:
            read_text(path)
        except UsageError as error:
            yield error.message


def _app_problems(exercise: Exercise) -> Iterator[str]:
    for path in exercise.begin.rglob("*"):
        relative = path.relative_to(exercise.begin).as_posix()
        if "node_modules" in path.relative_to(exercise.begin).parts[:-1]:
            continue
        if path.name == "node_modules":
            yield (
                f"begin/{relative}: a folder of this name is copied nowhere, not to end, to a workspace, or by verify; "
                "what the app needs of it belongs into a folder of another name."
            )
        if path.is_symlink():
            yield f"begin/{relative} is a link; a link does not survive every system's copy."
        if path.suffix == ".jinja" or "{" in path.name:
            yield f"begin/{relative}: copying would fill in its name or its content."
        if relative in tree.BESIDE:
            yield f"begin/{relative}: `labkit start` puts its own there."
    yield from _command_problems(exercise)
    for place, line, text in snippets.unfilled(exercise.begin):
        yield f"begin/{place}:{line} has a placeholder {text} that nobody fills in."


def _command_problems(exercise: Exercise) -> Iterator[str]:
    """Files that the app's command names, as words with an ending, and that begin does not have."""
    lines = (exercise.folder / "exercise.toml").read_text(encoding="utf-8", errors="replace").split("\n")
    for word in exercise.app.command[1:]:
        is_file = re.fullmatch(r"(?![-/])[\w./-]+\.(?:py|js|mjs|cjs|ts|rb|sh|jar)", word)
        if is_file and not (exercise.begin / word).is_file():
            line = next((n for n, text in enumerate(lines, start=1) if f'"{word}"' in text or f"'{word}'" in text), 1)
            yield f"exercise.toml:{line}: the app's command names {word}, and there is no begin/{word}."


def _snippet_problems(exercise: Exercise) -> Iterator[str]:
    for place, line, name in snippets.misnamed(exercise.begin):
        yield f"begin/{place}:{line}: “{name}” cannot be a TODO line's name: it has a-z, 0-9, and between them . _ -."
    todos = snippets.todo_lines(exercise.begin)
    for name, places in _by_name(todos).items():
        where = " and ".join(f"begin/{todo.path}:{todo.line}" for todo in places)
        if name not in exercise.snippets:
            yield f"{where}: the TODO line {name} has no snippet."
        if len(places) > 1:
            yield f"the TODO line {name} is there {len(places)} times: {where}."
        if not all(todo.text for todo in places):
            yield f"{where}: the TODO line {name} does not say what to do."
    files = Counter(path.stem for path in exercise.snippets_folder.glob("[!.]*") if path.is_file())
    yield from (f"several snippet files are named {name}." for name, count in files.items() if count > 1)
    steps = [step for task in exercise.tasks for step in task.steps]
    used = Counter(name for step in steps for name in step.inserted)
    for name in used:
        if name not in exercise.snippets:
            yield f"a step names the snippet {name}, which has no file."
    for name, snippet in exercise.snippets.items():
        if name not in _by_name(todos):
            meant = snippets.almost(exercise.begin, name)
            nearly = f": begin/{meant[0]}:{meant[1]} is none, {meant[2]}" if meant else ""
            yield f"no TODO line in begin names the snippet {name}{nearly}."
        if used[name] != 1:
            yield f"the snippet {name} is inserted by {used[name]} steps of README.md, not by one."
        if any(snippets.find(snippet, text) for text in _texts(exercise, name)):
            yield f"begin has the code of the snippet {name} already."
    yield from _shared_placeholders(exercise)
    if exercise.database and 1 not in snippets.placeholders(_text_of(exercise, exercise.database.snippet)):
        yield f"exercise.toml's database names the snippet {exercise.database.snippet}, which has no placeholder 1."


def _shared_placeholders(exercise: Exercise) -> Iterator[str]:
    """Placeholders end with their snippet: what is chosen in one does not reach another that has the same name."""
    for snippet in exercise.snippets.values():
        for number, default in snippets.placeholders(snippet.text).items():
            word = re.compile(rf"(?<!\w){re.escape(default)}(?!\w)")
            for other in exercise.snippets.values():
                if other is not snippet and default in snippets.placeholders(other.text).values():
                    line = next(n for n, text in enumerate(other.text.split("\n"), start=1) if word.search(text))
                    yield (
                        f"the snippets {snippet.name} and {other.name} ({other.path.name}:{line}) both let “{default}” "
                        f"be chosen: whoever fills in another name for ${{{number}:…}} in one of them breaks the app."
                    )


def _equation_problems(lab: Lab, exercise: Exercise) -> Iterator[str]:
    for todo in snippets.todo_lines(exercise.end):
        yield f"end/{todo.path}:{todo.line} still has the TODO line {todo.name}."
    try:
        derived = _files(exercise.begin) | _filled(exercise)
    except LabError as error:
        yield f"the snippets cannot be inserted: {error.message}"
    else:
        stale = list(_unequal(derived, _files(exercise.end), "begin with all snippets", "end"))
        yield from stale
        if stale:
            yield f"end is made, not written: labkit author end {exercise.id}."
    if exercise.continues is None:
        return
    former = next((each for each in lab.exercises if each.name == exercise.continues), None)
    if former is None:
        yield f"it continues {exercise.continues}, which lab.toml does not name."
    else:
        without = {path: _without_todo_lines(content, path) for path, content in _files(exercise.begin).items()}
        yield from _unequal(without, _files(former.end), "begin without its TODO lines", f"the end of {former.name}")


def _check_problems(exercise: Exercise) -> Iterator[str]:
    try:
        declared = checks(exercise)
    except SyntaxError as error:
        yield f"the checks cannot be read: {error}."
        return
    for check in declared:
        if not check.title:
            yield (
                f"{check.where}: the check {check.name} has no docstring for the trainee to read: write under its def "
                "what is true once the task is done."
            )
        if len(check.tasks) != 1:
            yield f"{check.where}: the check {check.name} is not marked with one task."
        for number in check.tasks:
            if not 1 <= number <= len(exercise.tasks):
                yield f"{check.where}: the check {check.name} is marked with task {number}, which does not exist."
        for name in check.snippets:
            if name not in exercise.snippets:
                near = difflib.get_close_matches(name, exercise.snippets, n=1)
                meant = f"write {near[0]}" if near else "remove it, or add its file"
                yield f"{check.where}: the check {check.name} names the unknown snippet {name}: {meant}."
    places: dict[tuple[int, str], list[str]] = {}
    for check in declared:
        for number in check.tasks:
            places.setdefault((number, check.name), []).append(check.where)
    for (number, name), where in places.items():
        if len(where) > 1:
            yield f"task {number} has {len(where)} checks {name}: {' and '.join(where)}."
    checked = {number for check in declared for number in check.tasks}
    for number, task in enumerate(exercise.tasks, start=1):
        if number not in checked:
            yield f"task {number}, “{task.title}”, has no check."


def _chapter_problems(exercise: Exercise) -> Iterator[str]:
    for position, task in enumerate(exercise.tasks, start=1):
        if task.number != position:
            yield f"README.md:{task.line}: task {position} has the number {task.number}."
        if not task.steps:
            yield f"README.md:{task.line}: task {position} has no steps, that is, no numbered list."
        for number, step in enumerate(task.steps, start=1):
            where = f"README.md:{step.line}: step {number} of task {position}"
            if step.number != number:
                yield f"{where} has the number {step.number}."
            if not step.text:
                yield f"{where} does not begin with a sentence."
            if len(step.inserted) > 1:
                yield f"{where} inserts several snippets: {', '.join(step.inserted)}."
    told = {step.snippet or step.command for task in exercise.tasks for step in task.steps}
    for key in exercise.hints:
        if key not in told:
            yield f"hints.toml: no step is carried out by “{key}”."
    for block in exercise.chapter.blocks:
        others = [line for line in block.code.splitlines() if line.strip() and not line.startswith("$ ")]
        if block.language == "console" and others:
            yield f"README.md:{block.first}: in a console each line begins with `$ `; “{others[0]}” does not."
    try:
        current = surroundings.rewritten(exercise)
    except UsageError:
        return  # why the snippets cannot be inserted is said elsewhere
    if current != exercise.chapter.source:
        yield f"README.md does not show the snippets as they are inserted: labkit author steps {exercise.id}."


def _by_name(todos: list[TodoLine]) -> dict[str, list[TodoLine]]:
    found: dict[str, list[TodoLine]] = {}
    for todo in todos:
        found.setdefault(todo.name, []).append(todo)
    return found


def _texts(exercise: Exercise, name: str) -> Iterator[str]:
    """The text of the file of begin that a snippet belongs into."""
    place = snippets.home(exercise, name)
    text = tree.text((exercise.begin / place.path).read_bytes()) if place else None
    if text is not None:
        yield text


def _text_of(exercise: Exercise, name: str) -> str:
    return exercise.snippets[name].text if name in exercise.snippets else ""


def _files(folder: Path) -> dict[str, bytes]:
    return {path: (folder / path).read_bytes() for path in tree.app_files(folder)}


def _source(folder: Path, advice: str) -> dict[str, bytes]:
    """The files of a folder that others are made from: if it were taken for an empty one, theirs would be removed."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is missing. Nothing was changed.", advice)
    return _files(folder)


def _filled(exercise: Exercise) -> dict[str, bytes]:
    """The files of begin that have TODO lines, with every snippet inserted."""
    change = insertion.insert(exercise.begin, exercise, list(exercise.snippets))
    return {file.path: file.after or b"" for file in change.files}


def _file_changes(lab: Lab, folder: Path, after: Mapping[str, bytes]) -> Iterator[FileChange]:
    before = _files(folder) if folder.is_dir() else {}
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield FileChange((folder / path).relative_to(lab.folder).as_posix(), before.get(path), after.get(path))


def _without_todo_lines(content: bytes, path: str) -> bytes:
    text = tree.text(content)
    return content if text is None else snippets.without_todo_lines(path, text).encode("utf-8")


def _unequal(one: dict[str, bytes], other: dict[str, bytes], name: str, other_name: str) -> Iterator[str]:
    for path in sorted(one.keys() | other.keys()):
        if path not in other:
            yield f"{path} is in {name}, but not in {other_name}."
        elif path not in one:
            yield f"{path} is in {other_name}, but not in {name}."
        elif one[path] != other[path]:
            yield f"{path} differs between {name} and {other_name}."
