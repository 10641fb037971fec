"""Client data that may stand in the log: names that the client has chosen, in one short line, and no values."""

import re
from collections.abc import Mapping

import msgspec

from asgi_signalr.errors import InvalidDataError

_MAX_LOGGED = 200  # characters

# The end of msgspec's messages: it says where by the names that the type has, and by numbers.
_PLACE = re.compile(r" - at `(\$(?:\.\w+|\[[\d.]*\])*)`$", re.ASCII)


def printable(text: str) -> str:
    """Keep what a client has chosen to one line of bounded length."""
    return text if text.isprintable() and len(text) <= _MAX_LOGGED else ascii(text[:_MAX_LOGGED])


def outline(error: BaseException) -> str:
    """Say of what kind an error is that has come of a client's data, and where in the data it is; no values."""
    if type(error) is InvalidDataError:
        return printable(str(error).removesuffix("."))  # the library's own, which says how many arguments there are
    places = _places(error)
    return printable(f"{type(error).__name__} ({', '.join(places)})" if places else type(error).__name__)


def _places(error: BaseException) -> list[str]:
    if isinstance(error, msgspec.ValidationError):
        found = _PLACE.search(str(error))
        return [] if found is None else [f"at {found[1]}"]
    try:  # pydantic's, which is not imported for this
        found_by_pydantic = error.errors(include_url=False, include_context=False, include_input=False)  # type: ignore[attr-defined]
        return [_place(each) for each in found_by_pydantic]
    except Exception:  # noqa: BLE001  (it is something else, or of another version)
        return []


def _place(found: Mapping[str, object]) -> str:
    where = found["loc"]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)  # type: ignore[attr-defined]
    return f"{found['type']} at ${path}"
