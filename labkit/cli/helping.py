"""How the commands' help is arranged, and told in the reader's language; in the source it is English."""

from typing import Any

from rich.text import Text

from labkit.cli.show import form, say
from labkit.console import out
from labkit.language import marked, translated

ABOUT = (
    "A hands-on lab, from an empty machine to verified exercises.\n\n"
    "First time here? **labkit demo** plays the whole lab. To do it yourself: **labkit setup**, "
    "**labkit list**, then **labkit start EX**."
)

_PANELS = marked("Arguments", "Options", "Commands", "Error")
_WORDS = marked("Show this message and exit.", "Install completion for the current shell.")
_COPY = marked("Show completion for the current shell, to copy it or customize the installation.")
_OTHERS = marked("[default: {}]", "[env var: {}]", "[required]", "(deprecated) ")


ARRANGED = {
    "To begin": {
        "demo": "Watch the whole lab being played.",
        "setup": "Prepare this machine.",
        "doctor": "Examine this machine.",
        "list": "Show the exercises, and how far you are.",
        "start": "Make your workspace for an exercise.",
    },
    "At work": {
        "next": "Show the step in hand.",
        "chapter": "Read the manual.",
        "guide": "Read and work in the browser.",
        "snippet": "List, show and insert code snippets.",
        "run": "Run the app.",
        "verify": "Check your work in a real browser.",
        "hint": "Help with a step, a little more each time.",
        "solve": "Have everything done up to a task.",
        "measure": "Measure messages a second, and how late they are.",
        "db": "Use the lab's PostgreSQL server.",
        "status": "Print how far you are, for the prompt of your shell.",
    },
    "Your files": {
        "diff": "Compare your work with the exercise's end.",
        "undo": "Take back what labkit changed last.",
        "reset": "Begin a file, or everything, afresh.",
        "update": "Take over a newer version of the lab.",
        "pack": "Hand in your work as one zip.",
        "adopt": "Go on with work from another machine.",
    },
    "For instructors": {
        "grade": "Verify the work of a whole class.",
        "class": "See live how far everybody is.",
    },
    "For authors": {
        "new": "Make a new exercise, or a whole new lab.",
        "author": "Examine a lab, and make what follows from its source.",
    },
}
"""The commands in the order of their use, each with what it does in a line of a terminal of 80 columns."""


_FIRST = {
    "To begin": ("setup", "list", "start"),
    "At work": ("next", "chapter", "guide", "snippet", "run", "verify", "hint"),
    "Your files": ("diff", "undo", "reset"),
}
"""What `labkit` alone tells of: it fits a terminal of 24 lines, which the help of all commands does not."""


def say_first() -> None:
    """Say what labkit is, how to begin, and the commands that a trainee needs."""
    out.print(Text.assemble((translated("Usage:"), "bold"), f" {form('labkit')} COMMAND [ARGS]..."))
    say()
    for paragraph in ABOUT.split("\n\n"):
        say(translated(paragraph).replace("**", ""))
    for panel, names in _FIRST.items():
        say(f"[bold]{translated(panel)}[/]")
        for name in names:
            out.print(Text.assemble("  ", (name, "cyan"), " " * (9 - len(name)), translated(ARRANGED[panel][name])))
    say(f"[dim]{form('labkit --help')} tells of every command.[/]")


def arranged(group: Any) -> Any:
    """The commands in the order and under the headings of `ARRANGED`."""
    for panel, commands in ARRANGED.items():
        for name, short in commands.items():
            command = group.commands[name]
            command.rich_help_panel, command.short_help = translated(panel), short
    order = [name for commands in ARRANGED.values() for name in commands]
    group.commands = {name: group.commands[name] for name in (*order, *sorted(set(group.commands) - set(order)))}
    return group


def in_language(group: Any) -> Any:
    """The commands with their help translated; their names, and those of their options, stay."""
    import typer.rich_utils as words

    words.ARGUMENTS_PANEL_TITLE, words.OPTIONS_PANEL_TITLE, words.COMMANDS_PANEL_TITLE, words.ERRORS_PANEL_TITLE = map(
        translated, _PANELS
    )
    words.DEFAULT_STRING, words.ENVVAR_STRING, words.REQUIRED_LONG_STRING, words.DEPRECATED_STRING = map(
        translated, _OTHERS
    )
    _translate(group)
    return group


def _translate(command: Any) -> None:
    command.help = _paragraphs(command.help)
    command.short_help = _paragraphs(command.short_help)
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = translated(parameter.help)
    plain = command.get_help_option

    def help_option(context: Any) -> Any:
        option = plain(context)
        if option is not None:
            option.help = translated("Show this message and exit.")
        return option

    command.get_help_option = help_option
    for each in getattr(command, "commands", {}).values():
        _translate(each)


def _paragraphs(text: str | None) -> str | None:
    if text is None:
        return None
    return "\n\n".join(_paragraph(each) for each in text.split("\n\n"))


def _paragraph(text: str) -> str:
    line = " ".join(text.split())
    said = translated(line)
    return text if said == line else said
