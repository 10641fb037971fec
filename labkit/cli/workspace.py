"""The commands of a trainee's workspace: list, start, adopt, update, pack, diff, reset, undo."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from labkit import changes, progress, record, tree, usage, verdicts, workspace
from labkit.cli import completing, following, show
from labkit.cli.options import ExerciseArgument, LabOption, Solution
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, out, print_json, working
from labkit.errors import ExitCode, UsageError, unknown
from labkit.journal import EditedSinceError
from labkit.lab import Exercise, Lab, find_lab
from labkit.progress import Progress, Verified
from labkit.workspace import Workspace, lab_option

commands = typer.Typer()

_MOST_OPENED = 10
"""How many files `diff --open` opens: more would bury the editor."""

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@commands.command("list")
def list_(
    exercise: ExerciseArgument = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show the exercises with their tasks, how far you are, and what to type next.

    Inside a workspace, or with EX, every step of that exercise is listed.
    """
    the_lab = find_lab(lab)
    chosen = the_lab.exercise(exercise) if exercise else None
    workspaces = workspace.of_lab(the_lab, Path.cwd())
    if chosen is None and (here := _round_here(the_lab)):
        chosen = the_lab.exercise(here.exercise_name)
        workspaces[chosen.name] = here
    shown = [chosen] if chosen else list(the_lab.exercises)
    found = {each.name: _progress(each, workspaces.get(each.name)) for each in shown}
    ahead = _ahead(chosen, found)
    coming = following.command(the_lab, ahead) if ahead else f"labkit new exercise NAME{lab_option(the_lab)}"
    if format is Format.JSON:
        print_json(
            {
                "lab": the_lab.title,
                "exercises": [_described(found[each.name]) for each in shown],
                "next": coming,
            }
        )
        return
    say(f"[bold]{escape(the_lab.title)}[/]")
    for each in shown:
        _print_exercise(found[each.name], steps=chosen is not None)
    say()
    if ahead and coming:
        following.say_command(the_lab, ahead)
    elif coming:
        say_next(coming)
    else:
        following.say_end(the_lab, found[shown[-1].name])


@commands.command()
def start(
    exercise: Annotated[
        str | None, typer.Argument(metavar="EX", help="The exercise to start.", autocompletion=completing.exercises)
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The new folder; named after the exercise if left out.")
    ] = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Make your workspace: a folder of your own with the app that the exercise begins with.

    Nothing is ever overwritten: DIR must be new or empty.
    """
    the_lab = find_lab(lab)
    if exercise is None:
        known = ", ".join(f"{each.id} ({each.title})" for each in the_lab.exercises)
        first = the_lab.exercises[0].id if the_lab.exercises else "EX"
        raise UsageError(f"Say which exercise to start: {known}.", f"labkit start {first}{lab_option(the_lab)}")
    chosen = the_lab.exercise(exercise)
    target = _target(folder, chosen)
    with working("Making your workspace"):
        made = workspace.create(the_lab, chosen, target)
        following.look(chosen, made)
    enter = f"cd {tree.argument(made.folder)}"
    if format is Format.JSON:
        print_json({"exercise": chosen.id, "name": chosen.name, "workspace": str(made.folder), "next": enter})
        return
    count = sum(1 for _ in tree.app_files(made.folder))
    say(f"[bold]{escape(chosen.title)}[/] is ready in [bold]{escape(str(made.folder))}[/] ({count} files).")
    say("It is yours: change what you like; `labkit reset` and `labkit undo` bring things back.")
    say()
    if target != Path.cwd():
        say_next(enter)
        say("[dim]then:[/] labkit list   [dim]shows every step[/]")
    else:
        say_next("labkit list   (shows every step)")
    say("[dim]     [/] labkit run    [dim]runs the app[/]")


@commands.command()
def adopt(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The folder with the work; the current one if left out.")
    ] = None,
    exercise: Annotated[
        str | None,
        typer.Option("--exercise", "-e", metavar="EX", help="The exercise, where the folder does not know it itself."),
    ] = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Take over a folder with work that was begun elsewhere: cloned, unpacked, or copied from another machine.

    Every other command does so, too, where the folder has its lab-workspace.toml. This one also makes anew whatever
    is missing of what labkit keeps beside the app, and takes a plain folder with EX. It touches no file of the app.
    """
    here = (folder or Path.cwd()).resolve()
    if not here.is_dir():
        raise UsageError(f"There is no folder {here}.", "labkit adopt DIR")
    here = workspace.around(here) or here
    the_lab = find_lab(lab)
    known = workspace.exercise_of(here)
    wanted = exercise or known
    if wanted is None:
        raise UsageError(
            f"{here} does not say which exercise it is: it has no {record.NAME}.", "labkit adopt --exercise EX"
        )
    if exercise is None and known not in [each.name for each in the_lab.exercises]:
        raise workspace.of_another_lab(the_lab, here, wanted)
    chosen = the_lab.exercise(wanted)
    with working("Taking it over"):
        taken = workspace.adopt(the_lab, chosen, here)
    following = "labkit list" if workspace.around(Path.cwd()) == here else f"cd {tree.argument(here)}"
    if format is Format.JSON:
        print_json({"exercise": chosen.id, "name": chosen.name, "workspace": str(here), "next": following})
        return
    news = "is a workspace here now; the app's data begins empty." if taken.adopted else "is a workspace already."
    say(f"[bold]{escape(str(here))}[/], {escape(chosen.title)}, {news}")
    say_next(following)


@commands.command()
def update(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Bring your workspace to a newer version of the lab, without losing your work.

    Files that you have not changed become the lab's new ones; in the others your changes and the lab's are merged.
    Where both changed the same lines your file stays, the lab's is put beside it, and the exit code is 1.
    `labkit undo` takes it all back.
    """
    from labkit import updating

    the_lab, chosen, here = show.subject(lab, None)
    with here.changing():
        before = here.record.version
        change = updating.update(the_lab, chosen, here)
        if not dry_run:
            here.apply(change)
    code = ExitCode.NOT_DONE if change.conflicts else ExitCode.OK
    if format is Format.JSON:
        print_json(
            {
                "exercise": chosen.id,
                "workspace": str(here.folder),
                "dry_run": dry_run,
                "from": before,
                "to": the_lab.version,
                "taken": change.taken,
                "merged": change.merged,
                "conflicts": change.conflicts,
                "kept": change.kept,
            }
        )
        return code
    name = here.folder.name
    if not change.files:
        say(f"{escape(name)} is up to date: version {escape(the_lab.version)}.")
        return ExitCode.OK
    done = "Would update" if dry_run else "Updated"
    say(f"{done} [bold]{escape(name)}[/] from version {escape(before)} to {escape(the_lab.version)}.")
    gone = {file.path for file in change.files if file.after is None}
    for path in change.taken:
        news = "no more in the lab" if path in gone else "the lab's new one"
        say(f"  {escape(path)}  is {news}")
    for path in change.merged:
        say(f"  {escape(path)}  has your changes and the lab's")
    for path in change.kept:
        say(f"  {escape(path)}  is no more in the lab; yours stays")
    for path in change.conflicts:
        beside = f"{path.rpartition('/')[2]}{updating.BESIDE}"
        say(
            f"  [yellow]{escape(path)}[/]  is yours as it was: you and the lab changed the same lines; "
            f"the lab's is in {escape(beside)}"
        )
    if dry_run:
        say_next("labkit update")
    elif change.conflicts:
        say_next("labkit diff --solution begin   (compare, and take over by hand; labkit undo takes it back)")
    else:
        say_next("labkit verify   or   labkit undo   (takes it back)")
    return code


@commands.command()
def pack(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="The zip; named after the exercise and you, beside your workspace, if left out."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Whose work it is; asked once, and remembered.")
    ] = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Pack your work into one zip, to hand it in: without environment, data, secrets and caches.

    With it go your name, the lab's version and what `labkit verify` said last. Whoever unpacks it can verify it, and
    you can go on with it on another machine.
    """
    from labkit import packing

    _, chosen, here = show.subject(lab, None)
    trainee = name or here.record.trainee
    if trainee is None and format is Format.TEXT and show.asks():
        trainee = typer.prompt(show.wrapped("Whose work is it? Your name"), default="", show_default=False, err=True)
    trainee = " ".join((trainee or "").split()) or None
    target = packing.default_file(here, trainee) if file is None else file
    if file is not None and file.is_dir():
        target = file / packing.default_file(here, trainee).name
    packed = packing.pack(here, chosen, target, trainee, datetime.now())
    tasks = verdicts.described(here.folder)
    if format is Format.JSON:
        print_json(
            {
                "exercise": chosen.id,
                "workspace": str(here.folder),
                "file": str(packed.file),
                "name": trainee,
                "files": packed.files,
                "left_out": [{"path": path, "reason": reason} for path, reason in packed.left_out],
                "tasks": tasks,
            }
        )
        return
    say(f"Packed {len(packed.files)} files into [bold]{escape(str(packed.file))}[/] ({packed.size / 1e6:.1f} MB).")
    say(f"Whose: {escape(trainee)}" if trainee else "Whose: nobody said. To add it: labkit pack --name NAME")
    for path, reason in packed.left_out:
        say(f"[yellow]left out:[/] {escape(path)} ({reason})")
    for task in tasks:
        passed = sum(check["verdict"] == "passed" for check in task["checks"])
        stale = "; files have changed since" if task["changed_since"] else ""
        say(f"{task['id']}  {passed} of {len(task['checks'])} checks passed{stale}")
    missing = [task for task in chosen.tasks if task.id not in {each["id"] for each in tasks}]
    if missing or any(task["changed_since"] for task in tasks):
        say_next("labkit verify   (then pack again: the verdicts go with your work)")


ExerciseOrFile = Annotated[
    str | None,
    typer.Argument(
        metavar="EX",
        help="The exercise: its id, its name or a unique beginning. Inside a workspace it can be left out.",
        show_default=False,
        autocompletion=completing.exercises_or_files,
    ),
]

FileArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE", help="Only this file of the workspace.", show_default=False, autocompletion=completing.files
    ),
]


@commands.command()
def diff(
    exercise: ExerciseOrFile = None,
    file: FileArgument = None,
    solution: Annotated[
        Solution, typer.Option("--solution", help="What to compare with: the exercise's begin or end.")
    ] = Solution.END,
    stat: Annotated[bool, typer.Option("--stat", help="Only name the files and count the lines.")] = False,
    open_: Annotated[
        bool, typer.Option("--open", help="Show the files that differ side by side in your editor.")
    ] = False,
    sides: Annotated[
        bool,
        typer.Option("--side-by-side", "-y", help="Print yours on the left, the other on the right."),
    ] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Compare your workspace, or one FILE of it, with the exercise's end: what `+` marks is still to come.

    Your own way of doing a step shows up here too; only `labkit verify` says whether it works.
    """
    exercise, file = _exercise_or_file(find_lab(lab), exercise, file)
    _, chosen, here = show.subject(lab, exercise)
    differences = workspace.compare(here.folder, chosen.solution(solution))
    if file:
        file = _inside(here, file)
        known = {*tree.app_files(here.folder), *tree.app_files(chosen.solution(solution))}
        if file not in known:
            raise unknown("file", file, sorted(known), f"labkit diff {chosen.id} --stat")
        differences = [each for each in differences if each.path == file]
    if open_ and differences:
        from labkit import editors

        for each in [each for each in differences if each.kind == "changed"][:_MOST_OPENED]:
            editors.compare(here.folder / each.path, chosen.solution(solution) / each.path)
        stat = True
    if format is Format.JSON:
        print_json(
            {
                "exercise": chosen.id,
                "workspace": str(here.folder),
                "solution": solution.value,
                "equal": not differences,
                "files": [
                    {"path": each.path, "kind": each.kind, "added": each.added, "removed": each.removed}
                    | ({} if stat else {"diff": each.diff})
                    for each in differences
                ],
            }
        )
    elif not differences:
        say(f"{escape(file) if file else 'Your workspace'} is equal to {chosen.id}'s {solution}, byte for byte.")
        if solution is Solution.END:
            say_next(f"labkit verify {chosen.id}")
    elif stat:
        width = max(len(each.path) for each in differences)
        for each in differences:
            note = {"missing": "  not in your workspace", "extra": "  only in your workspace"}.get(each.kind, "")
            say(f"{escape(each.path):<{width}}  [green]+{each.added}[/] [red]-{each.removed}[/]{note}")
        count = f"{len(differences)} files differ" if len(differences) > 1 else "1 file differs"
        say(f"{count} from {chosen.id}'s {solution}: + is only there, - only in your workspace.")
        against = "" if solution is Solution.END else f" --solution {solution}"
        say_next(f"labkit diff {chosen.id} {tree.quoted(differences[0].path)}{against}")
    elif sides and out.is_terminal:
        for each in differences:
            _print_sides(each, here.folder / each.path, chosen.solution(solution) / each.path, solution.value)
    else:  # in a pipe, or for a screen reader, columns would be torn apart
        show.diff("".join(each.diff for each in differences))


def _print_sides(difference: workspace.Difference, mine: Path, theirs: Path, name: str) -> None:
    left, right = (tree.text(changes.content(path) or b"") for path in (mine, theirs))
    if left is None or right is None:  # no text
        show.diff(difference.diff)
    else:
        show.side_by_side(difference.path, left, right, ("yours", name))


@commands.command()
def reset(
    exercise: ExerciseOrFile = None,
    file: FileArgument = None,
    data: Annotated[bool, typer.Option("--data", help="Put the app's own data (its database) away as well.")] = False,
    yes: YesOption = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Bring your workspace, or one FILE of it, back as the exercise began; asks first.

    Files that you added stay where they are. `labkit undo` takes a reset back.
    """
    exercise, file = _exercise_or_file(find_lab(lab), exercise, file)
    _, chosen, here = show.subject(lab, exercise)
    change = workspace.reset(here.folder, chosen, [_inside(here, file)] if file else None)
    paths = [each.path for each in change.files]
    kept: Path | None = None
    what = ", ".join(paths) + (" and the app's data" if data and paths else "the app's data" if data else "")
    if data:
        usage.refuse_if_used(here.folder)
    if what:
        show.confirm(f"Bring back as it was at the beginning, {_place(here)}: {what}?", yes)
        if data and here.data.is_dir() and any(here.data.iterdir()):
            kept = here.put_data_away(change)
        else:
            here.apply(change)
    if format is Format.JSON:
        print_json(
            {"exercise": chosen.id, "workspace": str(here.folder), "reset": paths, "data": str(kept) if kept else None}
        )
        return
    if not what:
        say("Nothing to reset: " + (f"{file} is" if file else "the app's files are") + " as the exercise began.")
        return
    for path in paths:
        say(f"Brought back {escape(path)}")
    if kept:
        say(f"The app's data is now in {escape(tree.nearby(kept))}; the next run begins without any.")
    elif data:
        say("The app had no data yet.")
    if paths or kept:
        say_next("labkit undo   (if you did not mean it)")


@commands.command()
def undo(
    exercise: ExerciseArgument = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also if you have edited the files since; a copy of them is kept.")
    ] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Take back what labkit changed last in your workspace; once more goes one change further back.

    Your own edits are safe: if a file was edited since, undo asks first, and it always keeps what it takes back.
    """
    _, _, here = show.subject(lab, exercise)
    try:
        undone = here.undo(force)
    except EditedSinceError as error:
        if format is Format.JSON or not show.asks():
            raise
        show.confirm(f"{error.message} Undo it all the same (a copy is kept)?", yes=False)
        undone = here.undo(force=True)
    if format is Format.JSON:
        print_json(
            {
                "workspace": str(here.folder),
                "undone": undone.what,
                "files": undone.files,
                "folders": undone.folders,
                "kept": str(undone.kept),
                "left": undone.left,
            }
        )
        return
    say(f"Undone: [bold]{escape(undone.what)}[/]")
    for path in undone.files:
        say(f"  {escape(path)} is as it was before")
    if undone.folders:
        say("  the app's data is as it was before")
    say(f"[dim]What was undone is kept in {escape(tree.nearby(undone.kept))}.[/]")
    if undone.left:
        say_next(f"labkit undo   (takes back the change before that; {undone.left} left)")
    else:
        say_next("labkit next")


def _target(folder: Path | None, exercise: Exercise) -> Path:
    """Where `start` makes the workspace: never inside another one, whose files would then include it."""
    here = Path.cwd()
    target = (here / folder if folder else here / exercise.name).resolve()
    around = workspace.around(target.parent)
    if around is None:
        return target
    if folder is None:
        return around.parent / exercise.name
    raise UsageError(
        f"{target} would lie inside the workspace {around}.",
        f"Leave DIR out to make it beside that one, at {around.parent / exercise.name}.",
    )


def _exercise_or_file(lab: Lab, exercise: str | None, file: str | None) -> tuple[str | None, str | None]:
    """Inside a workspace EX can be left out: a single word that names no exercise is the file."""
    if exercise is None or file is not None:
        return exercise, file
    try:
        lab.exercise(exercise)
    except UsageError:
        if workspace.around(Path.cwd()) or "." in exercise or "/" in exercise:
            return None, exercise
        raise
    return exercise, None


def _inside(here: Workspace, file: str) -> str:
    """The file as a path of the workspace, given from the current folder or from the workspace's."""
    for base in (Path.cwd(), here.folder):
        path = (base / file).resolve()
        if path.is_relative_to(here.folder) and (path.exists() or base == here.folder):
            return path.relative_to(here.folder).as_posix()
    return file


def _round_here(lab: Lab) -> Workspace | None:
    folder = workspace.around(Path.cwd())
    return workspace.find(lab, folder) if folder else None


def _progress(exercise: Exercise, here: Workspace | None) -> Progress:
    return following.look(exercise, here) if here else progress.look(exercise, None)


def _print_exercise(found: Progress, steps: bool) -> None:
    here, exercise = found.workspace, found.exercise
    say()
    place = f"  [dim]{escape(_place(here))}[/]" if here else ""
    done = "  [green]done[/]" if found.is_finished else ""
    show.item(f"[bold]{exercise.id}[/]  ", f"{escape(exercise.title)}  [dim]{exercise.minutes} min[/]{place}{done}")
    for each in found.tasks:
        number = each.task.id.rpartition(".")[2]
        count = ""
        if each.total:
            style = "green" if here and each.done == each.total else "dim"
            count = f"  [{style}]{each.done}/{each.total} snippets[/]" if here else f"  [dim]{each.total} snippets[/]"
        show.item(f"  {number}. ", f"{escape(each.task.title)}{count}{_verdict(each.verified)}")
        for position, step in enumerate(each.steps if steps else (), start=1):
            is_open = here is not None and step.has_deed and not step.passed_over
            mark = "[x]" if step.done else "[ ]" if is_open else "   "
            note = _NOTES.get(step.state or "", "") if here else ""
            show.item(f"     {escape(mark)} {position:>2}. ", f"{escape(step.step.text)}{note}")
            command = f"labkit snippet insert {step.step.snippet}" if step.step.snippet else step.step.command
            if command and not step.done and not following.half_done(step):
                say(f"             [cyan]{escape(show.form(command))}[/]")


_NOTES = {
    "own code": "  [dim](your own code)[/]",
    "partly": "  [yellow](a part is there)[/]",
    "misplaced": "  [yellow](in the wrong place)[/]",
    "missing": "  [yellow](neither TODO line nor code)[/]",
}


def _verdict(verified: Verified | None) -> str:
    """When a task was verified, and what has become of it since."""
    if verified is None:
        return ""
    when = verified.when.strftime("%d %b %H:%M")
    if not verified.passed:
        return f"  [red]not done[/] [dim]when verified, {when}[/]"
    return f"  [yellow]verified {when}, changed since[/]" if verified.changed_since else f"  [green]verified {when}[/]"


def _place(here: Workspace) -> str:
    nearby = tree.nearby(here.folder)
    return "in this folder" if nearby == "." else f"in {nearby}"


def _described(found: Progress) -> dict[str, Any]:
    here = found.workspace
    return {
        "id": found.exercise.id,
        "name": found.exercise.name,
        "title": found.exercise.title,
        "minutes": found.exercise.minutes,
        "workspace": str(here.folder) if here else None,
        "finished": found.is_finished,
        "tasks": [
            {
                "id": each.task.id,
                "title": each.task.title,
                "snippets": {"done": each.done if here else 0, "total": each.total},
                "verified": {
                    "passed": each.verified.passed,
                    "when": each.verified.when.isoformat(timespec="seconds"),
                    "changed_since": each.verified.changed_since,
                }
                if each.verified
                else None,
                "steps": [
                    {
                        "text": step.step.text,
                        "snippet": step.step.snippet,
                        "command": step.step.command,
                        "state": step.state if here else None,
                        "done": step.done,
                    }
                    for step in each.steps
                ],
            }
            for each in found.tasks
        ],
    }


def _ahead(chosen: Exercise | None, found: dict[str, Progress]) -> Progress | None:
    """Where one goes on: the exercise chosen, else the first that is begun, else the first; None if there is none."""
    if chosen is not None:
        return found[chosen.name]
    left = [each for each in found.values() if not each.is_finished]
    begun = [each for each in left if each.workspace]
    return next(iter(begun or left or list(found.values())[-1:]), None)
