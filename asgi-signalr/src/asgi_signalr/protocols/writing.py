"""Writes values as every .NET client reads them: `value_forms="dotnet"`.

Values of a program become lists, dictionaries and what the encoders write as it is. What is read back, see `reading`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from uuid import UUID

from msgspec import UNSET, Struct, structs

from asgi_signalr.messages import Completion, Invocation, Message, StreamInvocation, StreamItem
from asgi_signalr.options import EncHook
from asgi_signalr.protocols import forms
from asgi_signalr.protocols.enums import meant, name_of
from asgi_signalr.protocols.plain import plain_scalar

PLAIN = frozenset({str, int, bool, float, NoneType, bytes, bytearray, memoryview, UUID})


class Writing:
    """The forms of one encoding: properties are camelCase in JSON, PascalCase in MessagePack, as .NET has them."""

    def __init__(self, *, binary: bool) -> None:
        self._binary = binary
        self._forms: Mapping[type, Callable[[Any], Any]] = _BINARY if binary else _TEXT
        self.names = lru_cache(1024)(self._names_of)
        """Lists the properties of a class, and what they are called; None: what it has is somebody else's affair."""

    def message(self, message: Message, to: Any = Any) -> Message:
        """Bring what a message says into .NET's forms; `to` is the declared type of its result or item."""
        match message:
            case Completion(result=result) if result is not UNSET:
                return structs.replace(message, result=self.shaped(result, to))
            case StreamItem(item=item):
                return structs.replace(message, item=self.shaped(item, to))
            case Invocation(arguments=arguments) | StreamInvocation(arguments=arguments):
                return structs.replace(message, arguments=[self.shaped(each) for each in arguments])
        return message

    def after(self, encode: EncHook) -> EncHook:
        """Bring what an encoder's hook makes of a value into .NET's forms as well."""
        return lambda value: self.shaped(encode(value))

    def shaped(self, value: Any, to: Any = Any) -> Any:
        """Bring a value into .NET's forms, at any depth; the value itself stays as it is.

        Args:
            value: what is sent.
            to: the type that it is declared as, which chooses between `DateTime` and `DateTimeOffset`.

        """
        return self._shaped(value, is_offset=has_offset(to))

    def _shaped(self, value: Any, *, is_offset: bool) -> Any:
        kind: type = type(value)
        if kind in PLAIN:
            return value
        if kind in self._forms:
            if is_offset and kind is datetime:
                return forms.offset_pair(value) if self._binary else forms.offset_moment(value)
            return self._forms[kind](value)
        if isinstance(value, Enum):
            return name_of(value) if self._binary else value
        if (simple := plain_scalar(value)) is not value:
            return self._shaped(simple, is_offset=is_offset)
        if isinstance(value, dict):
            return {self._key(key): self._shaped(each, is_offset=is_offset) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._shaped(each, is_offset=is_offset) for each in value]
        return self._object(kind, value)

    def _key(self, key: Any) -> Any:
        """Bring a dictionary's key into the form of its type; in JSON it is text."""
        if type(key) is str:
            return key
        if isinstance(key, Enum):
            return name_of(key)
        shaped = self._shaped(key, is_offset=False)
        if isinstance(shaped, list):  # a pair
            return tuple(shaped)
        return str(shaped) if not self._binary and type(shaped) is Decimal else shaped

    def _object(self, kind: type, value: Any) -> Any:
        names = self.names(kind)
        if names is None:
            return value
        if getattr(kind, "__pydantic_root_model__", False):
            return self._shaped(value.root, is_offset=False)
        offsets = _offsets_of(kind)
        wire, config = {}, getattr(kind, "__struct_config__", None)
        said: Mapping[str, Any] = {}  # by pydantic, of what the class itself says how it is written
        if serialized := _serialized_of(kind):
            said = value.model_dump(mode="python" if self._binary else "json", include=serialized)
        parts = [
            (name, self._shaped(each, is_offset=own in offsets))
            for own, name in names
            if (each := said[own] if own in said else getattr(value, own, UNSET)) is not UNSET
        ]
        if config is not None and config.tag_field is not None:
            wire[config.tag_field] = config.tag
        if config is not None and config.array_like:
            return [*wire.values(), *(each for _, each in parts)]
        extra: Mapping[str, Any] = getattr(value, "__pydantic_extra__", None) or {}
        return wire | dict(parts) | {name: self._shaped(each, is_offset=False) for name, each in extra.items()}

    def _names_of(self, kind: Any) -> list[tuple[str, str]] | None:
        if issubclass(kind, Struct):
            return self._renamed(list(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)))
        if dataclasses.is_dataclass(kind):
            return [(each.name, self._cased(each.name)) for each in dataclasses.fields(kind)]
        if hasattr(kind, "__attrs_attrs__"):
            return [(each.name, self._cased(each.name)) for each in kind.__attrs_attrs__]
        decorators = getattr(kind, "__pydantic_decorators__", None)
        fields: Mapping[str, Any] | None = getattr(kind, "model_fields", None)
        if decorators is None or fields is None or decorators.model_serializers:
            return None
        if getattr(kind, "__pydantic_root_model__", False):
            return None if _serialized_of(kind) else []
        computed = {own: each.info.alias for own, each in decorators.computed_fields.items()}
        given = {own: each.serialization_alias or each.alias for own, each in fields.items() if not each.exclude}
        return self._renamed([(own, name or own) for own, name in (given | computed).items()])

    def _renamed(self, names: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Name properties as .NET does, but for those that have a name of their own.

        Names that are all in camelCase, as by a rule for JSON, are none of their own: MessagePack has PascalCase.
        """
        are_camel = all(name == _camel(own) for own, name in names)
        return [(own, self._cased(own) if are_camel or name == own else name) for own, name in names]

    def _cased(self, name: str) -> str:
        first, *rest = [each for each in name.split("_") if each] or [name]
        first = first[:1].upper() + first[1:] if self._binary else _lowered(first)
        return first + "".join(each[:1].upper() + each[1:] for each in rest)


def _lowered(word: str) -> str:
    """Begin a word with small letters, as .NET does: of capitals at its beginning all but that of the next word."""
    capitals = len(word) - len(word.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    end = capitals if capitals in (1, len(word)) else capitals - 1
    return word[:end].lower() + word[end:] if capitals else word


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.title() for each in rest)


def has_offset(to: Any) -> bool:
    """Whether a type is declared as `DateTimeOffset`, or has such times in it."""
    to = meant(to)
    if get_origin(to) is Annotated:
        inner, *metadata = get_args(to)
        return any(each is forms.OFFSET for each in metadata) or has_offset(inner)
    return any(has_offset(each) for each in get_args(to))


@lru_cache(1024)
def _serialized_of(kind: type) -> frozenset[str]:
    """Find the properties of a pydantic model that have serializers of their own."""
    decorators = getattr(kind, "__pydantic_decorators__", None)
    if decorators is None or not hasattr(kind, "model_fields"):
        return frozenset()
    named = {name for each in decorators.field_serializers.values() for name in each.info.fields}
    if "*" in named:
        return frozenset({*kind.model_fields, *decorators.computed_fields})
    return frozenset(named) | {
        name
        for name, field in kind.model_fields.items()
        if any(type(each).__name__ in ("PlainSerializer", "WrapSerializer") for each in field.metadata)
    }


@lru_cache(1024)
def _offsets_of(kind: type) -> frozenset[str]:
    """Find the properties of a class that are declared as `DateTimeOffset`."""
    try:
        hints = get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001  (anything may be written there, and names that are not found)
        return frozenset()
    return frozenset(name for name, each in hints.items() if has_offset(each))


def _moment(value: datetime) -> Any:
    """Write a `DateTime`, or a `DateTimeOffset` for a time with an offset of its own; without a zone it is UTC."""
    if value.tzinfo is None:
        return forms.timestamp(value.replace(tzinfo=UTC))
    return forms.offset_pair(value) if value.utcoffset() else forms.timestamp(value)


def _same(value: Any) -> Any:
    return value


_TEXT: Mapping[type, Callable[[Any], Any]] = {
    timedelta: forms.timespan,
    Decimal: forms.number,
    datetime: forms.moment,
    forms.OffsetDatetime: forms.offset_moment,
    date: _same,
    time: forms.clock,
}
_BINARY: Mapping[type, Callable[[Any], Any]] = {
    timedelta: forms.ticks,
    Decimal: forms.number,
    datetime: _moment,
    forms.OffsetDatetime: forms.offset_pair,
    date: forms.days,
    time: forms.ticks_of_day,
}
