"""The help of every command in the reader's language; what is written in the source is English."""

from typing import Any

from labkit.language import marked, translated

_PANELS = marked("Arguments", "Options", "Commands", "Error")
_WORDS = marked("Show this message and exit.", "Install completion for the current shell.")
_COPY = marked("Show completion for the current shell, to copy it or customize the installation.")
_OTHERS = marked("[default: {}]", "[env var: {}]", "[required]", "(deprecated) ")


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
