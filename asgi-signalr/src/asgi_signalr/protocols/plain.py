"""Plain values in place of others: subclasses of what is built in, arrays of numbers, collections, own types' hooks."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from asgi_signalr.options import EncHook


def _datetime(value: datetime) -> datetime:
    moment = datetime(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
    return moment.replace(tzinfo=value.tzinfo, fold=value.fold)


_PLAIN: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes(memoryview(value))),
    (bytearray, lambda value: bytes(memoryview(value))),
    (datetime, _datetime),
    (date, lambda value: date(value.year, value.month, value.day)),
    (time, lambda value: time(value.hour, value.minute, value.second, value.microsecond, value.tzinfo)),
    (timedelta, lambda value: timedelta.__add__(timedelta(0), value)),
    (Decimal, Decimal),
    (UUID, lambda value: UUID(int=value.int)),
)
_KINDS = tuple(kind for kind, _ in _PLAIN)
_OF_THEIR_OWN = tuple(kind for kind in _KINDS if kind not in (str, int, float))
_EXACT = frozenset((*_KINDS, bool))


_FINE = re.compile(r"((?:datetime|timedelta)64)\[[npfa]s\]")


def plain_scalar(value: Any) -> Any:
    """Make of a subclass's value one of the built-in class; anything else stays as it is."""
    if type(value) in _EXACT or not isinstance(value, _KINDS) or isinstance(value, Enum):
        return value
    return next(make(value) for kind, make in _PLAIN if isinstance(value, kind))


def plain(value: Any) -> Any:
    """Make a plain value of a scalar's subclass, an array of numbers or a collection; others stay as they are."""
    if isinstance(value, _KINDS):
        return plain_scalar(value)
    if isinstance(value, tuple | list | dict | set | frozenset):  # it is here as a key, or to be used up
        return value
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # NumPy's way, which others follow
        fine = _FINE.fullmatch(str(value.dtype))  # times finer than Python's, which would come as mere numbers
        return (value if fine is None else value.astype(f"{fine[1]}[us]")).tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Collection):
        return list(value)
    return value


def text_key(key: Any, encode: EncHook) -> Any:
    """Write a key that JSON has no form for: None and bools as JSON spells them, others by their plain value."""
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, Enum):
        return text_key(key.value, encode)
    if isinstance(key, _KINDS):
        return plain_scalar(key)
    return text_key(encode(key), encode)


def with_text_keys(value: Any, encode: EncHook) -> Any:
    """Write the keys of dictionaries, at any depth, so that JSON has a form for them; the value itself stays."""
    if isinstance(value, dict):
        return {text_key(key, encode): with_text_keys(each, encode) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [with_text_keys(each, encode) for each in value]
    return value


def with_whole_characters(value: Any, encode: EncHook) -> Any:
    """Put U+FFFD where there is half of a surrogate pair, at any depth, as ASP.NET Core does: UTF-8 has none.

    What is not built in becomes a dictionary or a list, as encoders write it; what it holds stays as it is.
    """
    return _whole(msgspec.to_builtins(value, builtin_types=_OF_THEIR_OWN, enc_hook=encode))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(each) for key, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list | tuple | set | frozenset) else value
