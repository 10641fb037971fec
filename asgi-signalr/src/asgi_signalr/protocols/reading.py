"""Prepares received values for the types that they are declared as, as far as msgspec does not: forms and names.

What is to be done is found out when a method is declared, once for each type; where there is nothing, nothing is done.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import EnumMeta, Flag
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Meta

from asgi_signalr.names import folded
from asgi_signalr.protocols import forms
from asgi_signalr.protocols.enums import declared_fields

logger = logging.getLogger("asgi_signalr")

Read = Callable[[Any], Any]
"""Prepares one value; what it does not know stays as it is."""

_TEXT: Mapping[Any, Read] = {
    datetime: forms.read_datetime,
    time: forms.read_time,
    timedelta: forms.read_timespan,
    Decimal: forms.read_decimal,
}
_BINARY: Mapping[Any, Read] = {
    datetime: lambda value: forms.read_datetime(forms.read_offset_pair(value)),
    date: forms.read_days,
    time: lambda value: forms.read_time(forms.read_ticks_of_day(value)),
    timedelta: lambda value: forms.read_timespan(forms.read_ticks(value)),
    Decimal: forms.read_decimal,
}
_SCALARS = frozenset({int, str, bool, bytes, bytearray, date, NoneType})


class Reading:
    """What has to be done for each type.

    Args:
        binary: whether it is MessagePack, where .NET has numbers for times.
        exact: whether numbers with a fraction arrive as `Decimal`: what is not declared so becomes a float.
        keeps_decimals: whether they stay decimals where any value is declared.
        named_floats: whether "NaN" and the infinities are floats.

    """

    def __init__(self, *, binary: bool, exact: bool, keeps_decimals: bool = False, named_floats: bool = False) -> None:
        self._floats = forms.read_named_float if named_floats else forms.read_float if exact else None
        self._other = _floats if exact else None
        self._keeps_decimals = keeps_decimals
        self._forms = _BINARY if binary else _TEXT
        self._is_binary = binary

    def reader(self, to: Any) -> Read | None:
        """Find what has to be done for a type; None: nothing.

        Raises:
            TypeError: two properties of a class differ only in case and underscores.

        """
        return self._reader(to, {})

    def _reader(self, to: Any, within: dict[Any, list[Read | None]]) -> Read | None:
        origin, arguments = get_origin(to), get_args(to)
        if origin is Annotated:
            is_char = arguments[0] is str and any(
                isinstance(each, Meta) and each.min_length == each.max_length == 1 for each in arguments[1:]
            )
            return forms.read_char if is_char and self._is_binary else self._reader(arguments[0], within)
        if isinstance(to, type) and to in self._forms:
            return self._forms[to]
        if to is float:
            return self._floats
        if (to is Any or to is object) and self._keeps_decimals:
            return None
        if to is None or to is Ellipsis or (isinstance(to, type) and to in _SCALARS):
            return None
        if isinstance(to, EnumMeta):
            return forms.read_flag if issubclass(to, Flag) else None
        if origin in (Union, UnionType):
            known = [read for each in arguments if (read := self._reader(each, within)) is not None]
            return None if not known else known[0] if len(known) == 1 else partial(_in_turn, known)
        if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
            key, item = (self._reader(each, within) for each in arguments)
            return None if key is item is None else partial(_mapping, key or _same, item or _same)
        if origin is tuple and Ellipsis not in arguments:
            items = [self._reader(each, within) for each in arguments]
            return partial(_row, [each or _same for each in items]) if any(items) else None
        if isinstance(origin, type) and issubclass(origin, Collection) and arguments:
            inner = self._reader(arguments[0], within)
            return None if inner is None else partial(_items, inner)
        if isinstance(origin or to, type) and (fields := declared_fields(to)):
            return self._object(to, fields, within)
        return self._other

    def _object(self, to: Any, fields: Mapping[str, Any], within: dict[Any, list[Read | None]]) -> Read:
        key = repr(to) if not isinstance(to, type) else to
        if key in within:  # in itself: what it needs is known when it is called
            known = within[key]
            return lambda value: value if known[0] is None else known[0](value)
        known = within[key] = [None]
        by_fold: dict[str, str] = {}
        for name in fields:
            if by_fold.get(folded(name), name) != name and not hasattr(to, "model_fields"):
                raise TypeError(
                    f"{getattr(to, '__name__', to)} has {by_fold[folded(name)]!r} and {name!r}, "
                    "which differ only in case and underscores; give one another name."
                )
            by_fold[folded(name)] = name
        inner = {name: way for name, each in fields.items() if (way := self._reader(each, within)) is not None}
        kind = to if isinstance(to, type) else get_origin(to)
        is_array = getattr(getattr(kind, "__struct_config__", None), "array_like", False) or (
            isinstance(kind, type) and issubclass(kind, tuple)
        )
        if is_array:
            row = [inner.get(name, _same) for name in fields]
            known[0] = read = partial(_row, row)
            return read
        tag = getattr(getattr(kind, "__struct_config__", None), "tag_field", None)
        names = frozenset({*fields, *([tag] if tag else [])})
        name = getattr(to, "__name__", str(to))
        known[0] = prepare = partial(_properties, name, names, by_fold, inner, self._other)
        return prepare


def _properties(
    owner: str,
    names: frozenset[str],
    by_fold: Mapping[str, str],
    inner: Mapping[str, Read],
    other: Read | None,
    value: Any,
) -> Any:
    """Prepare an object: properties by their names, or where none fits by the same without case and underscores."""
    if type(value) is not dict:
        return value if other is None else other(value)
    if not names >= value.keys():
        value = _renamed(owner, names, by_fold, value)
    if not inner:
        return value
    prepared = dict(value)
    for name, read in inner.items():
        if name in prepared:
            prepared[name] = read(prepared[name])
    return prepared


def _renamed(owner: str, names: frozenset[str], by_fold: Mapping[str, str], value: dict[Any, Any]) -> dict[Any, Any]:
    renamed = {key: each for key, each in value.items() if key in names}
    for key, each in value.items():
        if key in names:
            continue
        name = by_fold.get(folded(key)) if type(key) is str else None
        if name is None:
            renamed[key] = each
            _mention(owner, key)
        elif name not in value:
            renamed[name] = each
    return renamed


_MOST_MENTIONED = 100
_mentioned: set[tuple[str, str]] = set()


def _mention(owner: str, key: Any) -> None:
    if len(_mentioned) < _MOST_MENTIONED and (owner, str(key)) not in _mentioned:
        _mentioned.add((owner, str(key)[:100]))
        logger.debug("A client sends a property %.100r that %s does not have. This is said once.", key, owner)


def _same(value: Any) -> Any:
    return value


def _items(read: Read, value: Any) -> Any:
    return [read(each) for each in value] if type(value) is list else value


def _row(reads: list[Read], value: Any) -> Any:
    if type(value) is not list:
        return value
    return [*(read(each) for read, each in zip(reads, value, strict=False)), *value[len(reads) :]]


def _mapping(key: Read, item: Read, value: Any) -> Any:
    return {key(name): item(each) for name, each in value.items()} if type(value) is dict else value


def _in_turn(reads: list[Read], value: Any) -> Any:
    """Prepare a value for the first of several types that knows it."""
    for read in reads:
        if (prepared := read(value)) is not value:
            return prepared
    return value


def _floats(value: Any) -> Any:
    """Make floats of exact numbers, at any depth: nothing there is declared as a decimal."""
    if type(value) is Decimal:
        return float(value)
    if type(value) is list:
        return [_floats(each) for each in value]
    if type(value) is dict:
        return {key: _floats(each) for key, each in value.items()}
    return value


def has_decimal(to: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a decimal is declared somewhere in a type, so that numbers have to be read exactly."""
    if to is Decimal:
        return True
    if any(has_decimal(each, seen) for each in get_args(to) if not isinstance(each, list)):
        return True
    kind = get_origin(to) or to
    if not isinstance(kind, type) or kind in seen:
        return False
    return any(has_decimal(each, seen | {kind}) for each in declared_fields(to).values())
