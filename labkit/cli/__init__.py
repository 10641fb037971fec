"""The command line is grammar: a command finds, does, says. Only this package prints and exits."""

import contextlib
import errno
import itertools
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from labkit import __version__, invocation, language
from labkit.cli import (
    author,
    chapter_command,
    class_command,
    database,
    demo,
    grade,
    guide,
    helping,
    machine,
    measure_command,
    new,
    progress,
    run_command,
    snippet,
    verify_command,
    workspace,
)
from labkit.console import OutputError, err, print_json
from labkit.errors import ExitCode, InternalError, LabError, MachineError, what_helps
from labkit.harmless import shortened

app = typer.Typer(
    name="labkit",
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=helping.ABOUT,
)
for module in (
    *(machine, workspace, progress, guide, chapter_command),
    *(run_command, measure_command, verify_command, grade, demo),
):
    app.add_typer(module.commands)
app.add_typer(snippet.commands, name="snippet")
app.add_typer(database.commands, name="db")
app.add_typer(class_command.commands, name="class")
app.add_typer(new.commands, name="new")
app.add_typer(author.commands, name="author")


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", "-V", help="Show labkit's version and exit.")] = False,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Plain lines, without colours, boxes and whatever moves; for a screen reader, for example. "
            "Before the command; LABKIT_PLAIN=1 asks for it as well. NO_COLOR=1 only leaves the colours out.",
        ),
    ] = False,
) -> None:
    """Answer `--version` where it stands beside other options; `--plain` was heard before anything was imported."""
    if version:
        typer.echo(f"labkit {__version__}")
        raise typer.Exit


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every error is said here, in one way."""
    as_json = "--format=json" in arguments or ("--format", "json") in itertools.pairwise(arguments)
    try:
        _refuse_removed_folder()
        if not arguments:
            helping.say_first()
            return ExitCode.OK
        group = helping.arranged(typer.main.get_command(app))
        if language.chosen():
            group = helping.in_language(group)
        code = int(group(arguments, prog_name="labkit", standalone_mode=False) or 0)
        # Typer makes an exit code of Ctrl-C on its own, and says nothing.
        return code if code != ExitCode.INTERRUPTED else _say("Interrupted.", None, ExitCode.INTERRUPTED, as_json)
    except LabError as error:
        return _say(error.message, error.next, error.code, as_json)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "labkit"
        # A group without a command shows its help, which needs no advice to ask for it.
        advice = None if type(error).__name__ == "NoArgsIsHelpError" else f"{command} --help"
        return _say(error.format_message(), advice, ExitCode.USAGE, as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _say("Interrupted.", None, ExitCode.INTERRUPTED, as_json)
    except (BrokenPipeError, SystemExit) as error:
        # The reader of a pipe has gone (`labkit list | head -1`), of which Typer and Rich make an exit.
        raise BrokenPipeError from error
    except OutputError:  # which is said where the streams are
        raise
    except OSError as error:
        place = shortened(str(error.filename or ""), _MOST_OF_A_PATH)
        what = f"{error.strerror or error}: {place}".rstrip(": ")
        usual = next((each for numbers, each in _ADVICE.items() if error.errno in numbers), None)
        return _say(what, what_helps(error, usual), ExitCode.MACHINE, as_json)
    except Exception as error:  # noqa: BLE001  (the last resort: a fault of labkit's own, with its traceback)
        import traceback

        traceback.print_exc()
        fault = InternalError(f"labkit itself failed: {type(error).__name__}: {error}", "Report the lines above.")
        return _say(fault.message, fault.next, fault.code, as_json)


def _refuse_removed_folder() -> None:
    try:
        Path.cwd()
    except FileNotFoundError:
        raise MachineError("The folder that this terminal is in has been removed.", "cd ~") from None


def _say(message: str, next: str | None, code: ExitCode, as_json: bool) -> int:
    if as_json:
        print_json({"error": {"message": message, "next": next, "code": int(code)}})
    else:
        with contextlib.suppress(OSError):  # an error that nobody can read still has its exit code
            err.print(f"[bold red]{escape(language.translated(message))}[/]", soft_wrap=True)
            if next:
                err.print(f"[dim]next:[/] {escape(invocation.here(next))}", soft_wrap=True)
    return int(code)


_ADVICE = {
    (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT): (
        "Free some disk space or work in a folder that you may write to, then repeat the command."
    ),
    (errno.ENOTDIR, errno.EISDIR, errno.EEXIST): "Something else lies there: move it away, then repeat the command.",
    (errno.EMFILE, errno.ENFILE): "Too few files may be open at once in this terminal: ulimit -n 1024, then repeat.",
}
"""What to do about what the system refuses."""

_MOST_OF_A_PATH = 1000
"""How many characters of a path are said: one that is too long would fill the screen."""
