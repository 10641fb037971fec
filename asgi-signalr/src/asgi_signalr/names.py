"""Names that an application gives, of groups, users, connections: a wrong one would reach nobody, or somebody else."""

from collections.abc import Iterable

CONNECTION, GROUP, METHOD, USER = "A connection's id", "A group's name", "A method's name", "A user's identifier"


def text_name(kind: str, name: str) -> str:
    """Take a name.

    Raises:
        TypeError: it is no text, so nobody has it.

    """
    if not isinstance(name, str):
        raise TypeError(f"{kind} is text, not {name!r}.")
    return name


def text_names(method: str, kind: str, names: Iterable[str]) -> tuple[str, ...]:
    """Take the names that a method is given.

    Raises:
        TypeError: it is one name, whose letters would be taken for names; or one of them is no text.

    """
    if isinstance(names, str | bytes):
        text = names if isinstance(names, str) else names.decode(errors="replace")
        raise TypeError(f"{method}() takes several, and {names!r} is one: write [{text!r}].")
    names = tuple(names)
    for name in names:
        text_name(kind, name)
    return names


def folded(name: str) -> str:
    """Bring a name into the form in which names are compared: without case, and underscores but at its beginning."""
    if "_" not in name:
        return name.lower()
    rest = name.lstrip("_")
    return name[: len(name) - len(rest)] + rest.replace("_", "").lower()
