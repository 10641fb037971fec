"""Makes new exercises and new labs with cookiecutter: small, but whole, and ready to run."""

import json
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
from slugify import slugify

from labkit import changes, content
from labkit.author import surroundings
from labkit.errors import MachineError, UsageError
from labkit.files import write_whole
from labkit.lab import Exercise, Lab, find_lab, id_of

TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def new_exercise(lab: Lab, name: str, title: str | None = None) -> Exercise:
    """Add an exercise to the lab, as its last one.

    The name becomes the folder's; where the others' ids are numbered, the next id is put before it.
    Raises UsageError for a name that cannot be used; then the lab is unchanged.
    """
    typed, name = name, slug(name)
    for other in lab.exercises:
        if name in (other.name, other.name.removeprefix(f"{other.id}-")):
            raise UsageError(
                f"{other.name} is there already. Nothing was changed.",
                f"Choose another name, or a number of its own: labkit new exercise {_free_id(lab)}-{name}",
            )
    name = _numbered(lab, name)
    short = id_of(name)
    for other in lab.exercises:
        if short == other.id:
            raise UsageError(
                f"The id {short} is taken by {other.name}.",
                f"labkit new exercise {'-'.join([_free_id(lab), *name.split('-')[1:]])}",
            )
    folder, snippets_folder = lab.folder / "exercises" / name, lab.folder / "snippets" / name
    for path in (folder, snippets_folder):
        if path.exists():
            raise UsageError(f"{path} is there already. Nothing was changed.", "Choose another name.")
    before = (lab.folder / "lab.toml").read_bytes()
    after = _listed(before.decode("utf-8-sig"), name).encode("utf-8")
    titles = _titles(title or _title_from(_without_id(typed, short)))
    context = {"name": name, "id": short, "number": str(len(lab.exercises) + 1), **titles}
    made: list[Path] = []
    try:
        with _generated("exercise", lab.folder, context) as generated:
            for source, target in ((generated / "exercise", folder), (generated / "snippets", snippets_folder)):
                target.parent.mkdir(exist_ok=True)
                made.append(source.rename(target))
        write_whole(lab.folder / "lab.toml", after)
        lab = find_lab(lab.folder)
        exercise = lab.exercise(name)
        changes.write(lab.folder, content.remade(lab, [exercise]))
        write_whole(exercise.chapter.path, surroundings.rewritten(exercise).encode("utf-8"))
        exercise = find_lab(lab.folder).exercise(name)
    except BaseException:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        if (lab.folder / "lab.toml").read_bytes() != before:
            write_whole(lab.folder / "lab.toml", before)
        raise
    return exercise


def new_lab(name: str, folder: Path, title: str | None = None) -> Lab:
    """Make a lab with one exercise in `folder`, which must not exist or be empty; a failure leaves nothing behind."""
    typed, name = name, slug(name)
    folder = folder.resolve()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there already and not empty. Nothing was changed.",
            f"Choose another folder: labkit new lab {name} {folder.name}-2",
        )
    prefix = "".join(map(str.capitalize, name.split("-")))
    context = {"name": name, "prefix": prefix, **_titles(title or _title_from(typed))}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_make(folder, error) from error
    with _generated("lab", folder.parent, context) as generated:
        new_exercise(find_lab(generated), "first-steps")
        if folder.is_dir():
            for path in list(generated.iterdir()):
                path.rename(folder / path.name)
        else:
            generated.rename(folder)
    return find_lab(folder)


def slug(name: str) -> str:
    """The name in the form of a folder's: lower-case words with hyphens, in letters that every system can type.

    Raises UsageError if nothing usable is left.
    """
    plain = slugify(name)
    if not _NAME.fullmatch(plain):
        raise UsageError(
            f"“{name}” cannot be a name: it begins with a letter and has letters, digits and hyphens.",
            "For example: live-charts",
        )
    return plain


def _numbered(lab: Lab, name: str) -> str:
    numbered = [re.fullmatch(r"[a-z]+\d+", exercise.id) for exercise in lab.exercises]
    if not all(numbered) or re.fullmatch(r"[a-z]+\d+", name.split("-")[0]):
        return name
    return f"{_free_id(lab)}-{name}"


def _free_id(lab: Lab) -> str:
    """The next id in the manner of the lab's own: the highest number and one."""
    ids = [match for exercise in lab.exercises if (match := re.fullmatch(r"([a-z]+)(\d+)", exercise.id))]
    word = ids[-1][1] if ids else "ex"
    return f"{word}{max((int(match[2]) for match in ids), default=0) + 1}"


def _listed(text: str, name: str) -> str:
    """lab.toml with one more exercise, the rest of its text as it was."""
    document: Any = tomlkit.parse(text)
    document["exercises"].append(name)
    return tomlkit.dumps(document)


def _titles(title: str) -> dict[str, str]:
    if not title.isprintable() or not title.strip() or re.search(r"\{[{%#]", title):
        raise UsageError(f"“{title}” cannot be a title: it is one line of text without {{{{ }}}}.", "--title TEXT")
    return {
        "title": title,
        "quoted_title": json.dumps(title, ensure_ascii=False),
        "markdown_title": re.sub(r"([\\`*_\[\]<>&#!])", r"\\\1", title),
    }


def _without_id(typed: str, short: str) -> str:
    numbered = re.fullmatch(r"[a-z]+\d+", short)
    return re.sub(rf"^{short}[\s_-]+", "", typed.strip(), flags=re.IGNORECASE) if numbered else typed


def _title_from(typed: str) -> str:
    """The name as it was typed; of one in the form of a folder's the words."""
    words = typed.split() if re.search(r"\s", typed.strip()) else re.split(r"[_-]+", typed.strip())
    title = " ".join(words)
    return title[:1].upper() + title[1:]


@contextmanager
def _generated(template: str, beside: Path, context: dict[str, str]) -> Iterator[Path]:
    """What cookiecutter makes of a template, in a temporary folder on the disk of `beside`; nothing is asked."""
    from cookiecutter.main import cookiecutter

    temporary = beside / f".new.{secrets.token_hex(4)}"
    try:
        temporary.mkdir()
        with tempfile.TemporaryDirectory() as own:
            # cookiecutter remembers answers in the user's home folder unless told otherwise.
            settings = Path(own) / "settings.yaml"
            settings.write_text(json.dumps({"replay_dir": own, "cookiecutters_dir": own}), encoding="utf-8")
            made = cookiecutter(
                str(TEMPLATES / template),
                no_input=True,
                extra_context=context,
                output_dir=str(temporary),
                config_file=str(settings),
                accept_hooks=False,
            )
        yield Path(made)
    except OSError as error:
        raise _cannot_make(beside, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _cannot_make(folder: Path, error: OSError) -> MachineError:
    return MachineError(
        f"Cannot write in {folder}: {error.strerror or error}. Nothing was left behind.",
        "Free some disk space or choose a folder that you may write to.",
    )
