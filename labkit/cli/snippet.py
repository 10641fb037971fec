"""The commands of `labkit snippet`: list, show, insert."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from labkit import changes, insertion, recognition, snippets, workspace
from labkit.cli import completing, following, show
from labkit.cli.options import ExerciseArgument, LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, err, print_json
from labkit.errors import ExitCode, UsageError
from labkit.insertion import InsertChange
from labkit.lab import Exercise, Lab, find_lab

commands = typer.Typer(
    no_args_is_help=True,
    help="List, show and insert the exercise's code snippets.\n\n"
    "A snippet replaces the TODO line of the same name in your workspace.",
)

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Snippets by name; the form that the manual prints them in works as well.",
        show_default=False,
        autocompletion=completing.snippets,
    ),
]
OfOption = Annotated[
    str | None,
    typer.Option(
        "--exercise",
        "-e",
        metavar="EX",
        help="The exercise, when you are not inside its workspace.",
        autocompletion=completing.exercises,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="[N=]VALUE",
        help="Fill VALUE into placeholder N of the snippet (1 if left out) instead of its default.",
    ),
]


@commands.command("list")
def list_(
    exercise: ExerciseArgument = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """List the snippets of an exercise: where each belongs, and whether you have inserted it."""
    the_lab = find_lab(lab)
    around = workspace.around(Path.cwd())
    if exercise is None and around is None:
        chosen: list[Exercise] = list(the_lab.exercises)
    elif exercise is None:
        chosen = [show.subject(lab, None)[1]]
    else:
        chosen = [the_lab.exercise(exercise)]
    documents = [_described(the_lab, each) for each in chosen]
    if format is Format.JSON:
        print_json({"exercises": documents})
        return
    for document in documents:
        say(f"[bold]{document['exercise']}[/]  [dim]{escape(str(document['workspace'] or 'no workspace here'))}[/]")
        width = max((len(row["name"]) for row in document["snippets"]), default=0)
        for row in document["snippets"]:
            state = _STATES.get(row["state"], "")
            place = f"{row['path']}:{row['line']}" if row["path"] else "no TODO line"
            say(f"  {row['name']:<{width}}  {escape(place)}  {state}")
            if row["todo"]:
                show.item(" " * (width + 4), f"[dim]{escape(row['todo'])}[/]")
    say_next("labkit snippet show NAME   or   labkit snippet insert NAME")


@commands.command("show")
def show_(
    names: NamesArgument = None,
    exercise: OfOption = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Print snippets as they are inserted, and say where they belong."""
    if not names:
        raise UsageError("Say which snippet to show.", "labkit snippet list")
    the_lab = find_lab(lab)
    found = [_anywhere(the_lab, exercise, name) for name in names]
    if format is Format.JSON:
        print_json(
            {
                "snippets": [
                    {
                        "exercise": each.id,
                        "name": name,
                        "path": place.path if (place := snippets.home(each, name)) else None,
                        "text": each.snippets[name].text,
                        "filled": snippets.fill(each.snippets[name].text),
                        "placeholders": snippets.placeholders(each.snippets[name].text),
                    }
                    for each, name in found
                ]
            }
        )
        return
    for each, name in found:
        place = snippets.home(each, name)
        text = each.snippets[name].text
        say(f"[bold]{name}[/] [dim]({each.id})[/]{_home(each, place)}:")
        say()
        show.plain(snippets.fill(text))
        say()
        for number, default in snippets.placeholders(text).items():
            say(f"[dim]placeholder {number} is “{escape(default)}”; another value: --set {number}=VALUE[/]")
    say_next(f"labkit snippet insert {' '.join(name for _, name in found)}")


def _home(exercise: Exercise, place: snippets.TodoLine | None) -> str:
    """Where a snippet belongs, in words: who types it has to know how far in."""
    if place is None:
        return ""
    around = snippets.enclosing(exercise, place)
    within = f", inside [cyan]{escape(around.removesuffix(':'))}[/]" if around else ""
    return f" belongs into {escape(place.path)}{within}, in place of its TODO line (line {place.line})"


@commands.command()
def insert(
    names: NamesArgument = None,
    all_: Annotated[bool, typer.Option("--all", help="All snippets of the exercise.")] = False,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="T",
            help="The snippets of one task: its number or title.",
            autocompletion=completing.tasks,
        ),
    ] = None,
    values: SetOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the diff.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write the code although some that is like it is there already.")
    ] = False,
    exercise: OfOption = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Replace TODO lines in your workspace by their snippets.

    No code is ever written twice: if you have typed it yourself, only its TODO line goes. Of several names all are
    inserted or none; --all and --task insert what can be inserted and tell about the rest. `labkit undo` takes it back.
    """
    the_lab, chosen, here = show.subject(lab, exercise)
    wanted = _wanted(the_lab, chosen, names or [], all_, task)
    change = insertion.insert(here.folder, chosen, wanted, _values(values or []), what_can_be=not names, force=force)
    if not dry_run:
        here.apply(change)
    if format is Format.JSON:
        print_json(
            {
                "exercise": chosen.id,
                "workspace": str(here.folder),
                "dry_run": dry_run,
                "changed": [file.path for file in change.files],
                "snippets": [
                    {
                        "name": each.snippet,
                        "path": each.path,
                        "line": each.line,
                        "lines": each.count,
                        "already": each.already,
                    }
                    for each in change.insertions
                ],
                "own": [each.snippet for each in change.insertions if each.own],
                "refused": [
                    {"name": each.snippet, "message": each.error.message, "next": each.error.next}
                    for each in change.refusals
                ],
                "diff": changes.unified(change),
            }
        )
    elif dry_run:
        _print_dry_run(change)
    else:
        _print_inserted(change)
        following.say_following(the_lab, following.look(chosen, here))
    return ExitCode.NOT_DONE if change.refusals else ExitCode.OK


_STATES = {
    "todo": "to do",
    "inserted": "[green]inserted[/]",
    "own code": "[green]own code[/]",
    "partly": "[yellow]a part is there[/]",
    "misplaced": "[yellow]in the wrong place[/]",
    "missing": "[yellow]neither TODO line nor code[/]",
}


def _print_dry_run(change: InsertChange) -> None:
    if change.files:
        show.diff(changes.unified(change))
        # Not on stdout, where the diff may be on its way into a file.
        err.print("[dim]next:[/] the same without --dry-run inserts it")
    else:
        say("Nothing would change: already inserted.")


def _print_inserted(change: InsertChange) -> None:
    for each in change.insertions:
        place = escape(each.spoken)
        if each.already:
            rest = "; took its TODO line away." if each.todo_removed else "; nothing to do."
            if each.own:
                say(f"[bold]{each.snippet}[/] is there already, in your own words: {place}{rest}")
            else:
                say(f"[bold]{each.snippet}[/] is already inserted in {place}{rest}")
        else:
            say(f"Inserted [bold]{each.snippet}[/] into {place}.")
    for refusal in change.refusals:
        err.print(f"[bold red]not inserted:[/] {escape(refusal.error.message)}")
        if refusal.error.next:
            err.print(f"[dim]next:[/] {escape(refusal.error.next)}")
    if change.files:
        say(f"[dim]{show.form('labkit undo')} takes it back.[/]")


def _wanted(lab: Lab, exercise: Exercise, names: list[str], all_: bool, task: str | None) -> list[str]:
    if sum((bool(names), all_, task is not None)) != 1:
        raise UsageError(
            "Say which snippets: names, or --task T, or --all (one of the three).",
            f"labkit snippet list {exercise.id}",
        )
    if task is not None:
        chosen = exercise.task(task)
        found = [step.snippet for step in chosen.steps if step.snippet]
        if not found:
            raise UsageError(f"Task {chosen.id} has no snippets.", f"labkit list {exercise.id}")
        return found
    return list(exercise.snippets) if all_ else [exercise.snippet(name, lab.snippet_prefix).name for name in names]


def _values(given: list[str]) -> dict[int, str]:
    """`--set 2=VALUE` or, for a snippet's first placeholder, `--set VALUE`."""
    values: dict[int, str] = {}
    for text in given:
        number, value = (match[1], match[2]) if (match := re.fullmatch(r"(\d)=(.*)", text, re.DOTALL)) else ("1", text)
        if int(number) in values:
            raise UsageError(f"--set names placeholder {number} twice.", "Give each placeholder one value.")
        snippets.check_value(value)
        values[int(number)] = value
    return values


def _anywhere(lab: Lab, exercise: str | None, name: str) -> tuple[Exercise, str]:
    """The exercise and the proper name of a snippet: in EX, else in the workspace's exercise, else in any."""
    if exercise:
        chosen = lab.exercise(exercise)
        return chosen, chosen.snippet(name, lab.snippet_prefix).name
    around = workspace.around(Path.cwd())
    own = workspace.read(around).exercise_name if around else None
    ordered = sorted(lab.exercises, key=lambda each: each.name != own)
    first_error: UsageError | None = None
    for each in ordered:
        try:
            return each, each.snippet(name, lab.snippet_prefix).name
        except UsageError as error:
            first_error = first_error or error
    raise first_error or UsageError("This lab has no exercises.", "labkit new exercise NAME")


def _described(lab: Lab, exercise: Exercise) -> dict[str, Any]:
    try:
        here = workspace.find(lab, Path.cwd(), exercise, take=False)  # to look changes nothing
    except UsageError:
        here = None
    homes = {todo.name: todo for todo in snippets.todo_lines(exercise.begin)}
    seen = recognition.look(exercise, here.folder) if here else {}
    rows = []
    for name in exercise.snippets:
        place = (seen[name].todo if name in seen else None) or homes.get(name)
        rows.append(
            {
                "name": name,
                "path": place.path if place else None,
                "line": place.line if place else None,
                "todo": place.text if place else None,
                "state": seen[name].state if here else None,
            }
        )
    return {"exercise": exercise.id, "workspace": str(here.folder) if here else None, "snippets": rows}
