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
from asgi_signalr.protocols import forms
from asgi_signalr.protocols.enums import name_of
from asgi_signalr.protocols.plain import plain_scalar

PLAIN = frozenset({str, int, bool, float, NoneType, bytes, bytearray, memoryview, UUID})


class Writing:
    """The forms of one encoding: properties are camelCase in JSON, PascalCase in MessagePack, as .NET has them."""

    def __init__(self, *, binary: bool) -> None:
        self._binary = binary
        self._forms: Mapping[type, Callable[[Any], Any]] = _BINARY if binary else _TEXT
        self._names = lru_cache(1024)(self._names_of)

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
            return {
                name_of(key) if isinstance(key, Enum) else key: self._shaped(each, is_offset=is_offset)
                for key, each in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._shaped(each, is_offset=is_offset) for each in value]
        return self._object(kind, value)

    def _object(self, kind: type, value: Any) -> Any:
        names = self._names(kind)
        if names is None:
            return value
        offsets = _offsets_of(kind)
        wire, config = {}, getattr(kind, "__struct_config__", None)
        parts = [
            (name, self._shaped(each, is_offset=own in offsets))
            for own, name in names
            if (each := getattr(value, own, UNSET)) is not UNSET
        ]
        if config is not None and config.tag_field is not None:
            wire[config.tag_field] = config.tag
        if config is not None and config.array_like:
            return [*wire.values(), *(each for _, each in parts)]
        return wire | dict(parts)

    def _names_of(self, kind: type) -> list[tuple[str, str]] | None:
        """List the properties of a class, and what they are called; None: what it has is somebody else's affair."""
        if issubclass(kind, Struct):
            pairs = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
            return [(own, name if name != own else self._cased(own)) for own, name in pairs]
        if dataclasses.is_dataclass(kind):
            return [(each.name, self._cased(each.name)) for each in dataclasses.fields(kind)]
        if hasattr(kind, "__attrs_attrs__"):
            return [(each.name, self._cased(each.name)) for each in kind.__attrs_attrs__]
        decorators = getattr(kind, "__pydantic_decorators__", None)
        fields: Mapping[str, Any] | None = getattr(kind, "model_fields", None)
        if decorators is None or fields is None:
            return None
        if decorators.field_serializers or decorators.model_serializers or decorators.computed_fields:
            return None
        if getattr(kind, "__pydantic_root_model__", False):
            return None
        return [
            (own, field.serialization_alias or field.alias or self._cased(own))
            for own, field in fields.items()
            if not field.exclude
        ]

    def _cased(self, name: str) -> str:
        first, *rest = [each for each in name.split("_") if each] or [name]
        first = first[:1].upper() + first[1:] if self._binary else first[:1].lower() + first[1:]
        return first + "".join(each[:1].upper() + each[1:] for each in rest)


def has_offset(to: Any) -> bool:
    """Whether a type is declared as `DateTimeOffset`, or has such times in it."""
    if get_origin(to) is Annotated:
        inner, *metadata = get_args(to)
        return any(each is forms.OFFSET for each in metadata) or has_offset(inner)
    return any(has_offset(each) for each in get_args(to))


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
    Decimal: _same,
    datetime: _moment,
    forms.OffsetDatetime: forms.offset_pair,
    date: forms.days,
    time: forms.ticks_of_day,
}
