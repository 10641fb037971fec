"""Prepares received values for the types that they are declared as, as far as msgspec does not: forms and names.

What is to be done is found out when a method is declared, once for each type; where there is nothing, nothing is done.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import EnumMeta, Flag
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from msgspec import Meta

from asgi_signalr.names import folded
from asgi_signalr.protocols import forms
from asgi_signalr.protocols.enums import declared_fields, meant

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


class _Whatever(type):
    """The type of classes that every value belongs to, so that a value can stand where one of them is declared."""

    def __instancecheck__(cls, instance: object) -> bool:
        return True


class OneOf(metaclass=_Whatever):
    """Stands for a union that msgspec does not tell apart; its subclasses have the types, in order."""

    types: tuple[Any, ...] = ()

    @classmethod
    def of(cls, types: tuple[Any, ...], text: str) -> type:
        """Make the class that stands for a union of types, which says itself what it is in words."""
        return _Whatever("OneOf", (cls,), {"types": types, "__doc__": text})


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
        # What pydantic reads, it reads from JSON: there a decimal that is not declared would be text.
        self._in_models = Reading(binary=binary, exact=exact, named_floats=named_floats) if keeps_decimals else self

    def reader(self, to: Any) -> Read | None:
        """Find what has to be done for a type; None: nothing.

        Raises:
            TypeError: two properties of a class differ only in case and underscores.

        """
        return self._reader(to, {})

    def _reader(self, to: Any, within: dict[Any, list[Read | None]]) -> Read | None:
        to = meant(to)
        origin, arguments = get_origin(to), get_args(to)
        if origin is Annotated:
            is_char = arguments[0] is str and any(
                isinstance(each, Meta) and each.min_length == each.max_length == 1 for each in arguments[1:]
            )
            return forms.read_char if is_char and self._is_binary else self._reader(arguments[0], within)
        if isinstance(to, type) and to in self._forms:
            return self._forms[to]
        if isinstance(to, type) and issubclass(to, Decimal):
            return forms.read_decimal
        if to is float:
            return self._floats
        if (to is Any or to is object) and self._keeps_decimals:
            return None
        if to is None or to is Ellipsis or origin is Literal or (isinstance(to, type) and to in _SCALARS):
            return None
        if isinstance(to, EnumMeta):
            return forms.read_flag if issubclass(to, Flag) else None
        if isinstance(to, TypeVar):
            return self._reader(to.__bound__ or Any, within)
        if origin in (Union, UnionType):
            return self._union(arguments, within)
        if isinstance(to, type) and issubclass(to, OneOf):
            return None  # each of its types is tried, with all that has to be done for it
        if getattr(to, "__pydantic_root_model__", False):
            return self._in_models._reader(to.model_fields["root"].annotation, {})
        if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
            key, item = (self._reader(each, within) for each in arguments)
            if arguments[0] is bool and not self._is_binary:
                key = forms.read_bool
            return None if key is item is None else partial(_mapping, key or _same, item or _same)
        if origin is tuple and Ellipsis not in arguments:
            items = [self._reader(each, within) for each in arguments]
            return partial(_row, [each or _same for each in items]) if any(items) else None
        if isinstance(origin, type) and issubclass(origin, Iterable) and arguments:
            inner = self._reader(arguments[0], within)
            return None if inner is None else partial(_items, inner)
        if isinstance(origin or to, type) and (fields := declared_fields(to)):
            if hasattr(to, "model_fields") and self._in_models is not self:
                return self._in_models._reader(to, {})
            return self._object(to, fields, within)
        if self._keeps_decimals and isinstance(to, type) and issubclass(to, Collection):
            return None
        return self._other

    def _union(self, types: tuple[Any, ...], within: dict[Any, list[Read | None]]) -> Read | None:
        kinds = [get_args(each)[0] if get_origin(each) is Annotated else each for each in map(meant, types)]
        by_tag: dict[Any, Read] = {}
        field, reads = "", []
        for each, kind in zip(types, kinds, strict=True):
            read = self._reader(each, within)
            if (tag := _tag_of(kind)) is not None:
                field, by_tag[tag[1]] = tag[0], read or _same
            elif read is not None and not (read is forms.read_float and Decimal in kinds):
                reads.append(read)
        if date in kinds:  # which a day alone is, then
            reads = [forms.read_datetime_only if each is self._forms[datetime] else each for each in reads]
        if by_tag:
            reads.append(partial(_tagged, field, by_tag))
        if not reads:
            return None
        in_turn = reads[0] if len(reads) == 1 else partial(_in_turn, reads)
        # In MessagePack a number may be a time, but not where it may be a number.
        are_numbers = self._is_binary and (int in kinds or float in kinds)
        return (lambda value: value if type(value) is int else in_turn(value)) if are_numbers else in_turn

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
        tag = _tag_of(kind)
        is_array = getattr(getattr(kind, "__struct_config__", None), "array_like", False) or (
            isinstance(kind, type) and issubclass(kind, tuple)
        )
        if is_array:
            row = [*([_same] if tag else []), *(inner.get(name, _same) for name in fields)]
            known[0] = read = partial(_row, row)
            return read
        if tag is not None:
            by_fold.setdefault(folded(tag[0]), tag[0])
        names = frozenset({*fields, *([tag[0]] if tag else [])})
        name = getattr(to, "__name__", str(to))
        known[0] = prepare = partial(_properties, name, names, by_fold, inner, self._other)
        return prepare


def _tag_of(to: Any) -> tuple[str, Any] | None:
    """Find the property of a class that says what an object is, and what it says; None if it has none."""
    config = getattr(get_origin(to) or to, "__struct_config__", None)
    return None if config is None or config.tag_field is None else (config.tag_field, config.tag)


def _tagged(field: str, reads: Mapping[Any, Read], value: Any) -> Any:
    """Prepare an object for that class of several whose tag it has."""
    if type(value) is list and value:
        tag = value[0]
    elif type(value) is dict:
        name = next((each for each in value if type(each) is str and folded(each) == folded(field)), field)
        if name != field and field not in value:
            value = {field if key == name else key: each for key, each in value.items()}
        tag = value.get(field)
    else:
        return value
    return reads[tag](value) if isinstance(tag, str | int) and tag in reads else value


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
        if other is not None:
            value = {name: each if name in names else other(each) for name, each in value.items()}
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
    to = meant(to)
    if isinstance(to, type) and issubclass(to, Decimal):
        return True
    if isinstance(to, TypeVar):
        return has_decimal(to.__bound__, seen)
    if getattr(to, "__pydantic_root_model__", False):
        return has_decimal(to.model_fields["root"].annotation, seen)
    if any(has_decimal(each, seen) for each in get_args(to) if not isinstance(each, list)):
        return True
    kind = get_origin(to) or to
    if not isinstance(kind, type) or kind in seen:
        return False
    return any(has_decimal(each, seen | {kind}) for each in declared_fields(to).values())
