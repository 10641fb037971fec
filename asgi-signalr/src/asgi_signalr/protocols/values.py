"""How arguments, results and stream items travel, in JSON and in MessagePack.

What Python sends, and what it takes for a declared type:

    type                        JSON                           MessagePack
    bytes                       base64 text                    bin
    datetime                    ISO 8601 text                  timestamp (ext -1); without a zone: ISO 8601 text
    date, time, timedelta       ISO 8601 text                  ISO 8601 text
    UUID, Decimal               text                           text
    Enum                        its value                      its name; either is taken by both
    dataclass, Struct, TypedDict, attrs class                  object, map
    NamedTuple, tuple, set      array                          array
    NaN, Infinity               null: JSON has no word for it  float
    dict                        keys as text                   keys as they are; taken as text as well
    pydantic's models, types    as pydantic says: by alias, in its JSON mode, or in its Python mode for MessagePack
    what only pydantic knows    as pydantic says, if the application has imported it: paths, addresses, …

That is `value_forms="python"`. What `"dotnet"` writes, and the other forms that are read, docs/values.md has.

Whole numbers beyond 2**53 arrive rounded in a browser: send those as text. MessagePack has none beyond 64 bits. Text
with half of a surrogate pair is no Unicode text and cannot be sent. Bytes inside a pydantic model travel in JSON as
the model's `ser_json_bytes` and `val_json_bytes` say ("base64" suits the other clients).
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import EnumMeta
from functools import lru_cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import UNSET, inspect, structs

from asgi_signalr.messages import Unreadable
from asgi_signalr.names import folded
from asgi_signalr.options import DecHook, EncHook
from asgi_signalr.protocols.enums import declared_fields, meant, member_of, named, valued
from asgi_signalr.protocols.plain import plain
from asgi_signalr.protocols.reading import OneOf, Read, Reading

Convert = Callable[[list[Any]], list[Any]]
"""Turns received arguments into declared types."""

PLAIN = frozenset({int, str, bool, float})


class Values:
    """The rules for one encoding: JSON's for texts, or those of MessagePack, which has bytes and times of its own.

    Args:
        binary: whether it is MessagePack.
        exact: whether numbers with a fraction arrive as `Decimal`, with all their digits.
        keeps_decimals: whether they stay decimals where any value is declared.
        named_floats: whether "NaN" and the infinities are floats.
        enc_hook: makes what can be sent of the application's own types.
        dec_hook: makes the application's own types of what has been received.

    """

    def __init__(
        self,
        *,
        binary: bool,
        exact: bool = False,
        keeps_decimals: bool = False,
        named_floats: bool = False,
        enc_hook: EncHook | None = None,
        dec_hook: DecHook | None = None,
    ) -> None:
        self._binary = binary
        self._enc_hook = enc_hook
        self._dec_hook = dec_hook
        self._reading = Reading(binary=binary, exact=exact, keeps_decimals=keeps_decimals, named_floats=named_floats)
        self._native: tuple[type, ...] = (bytes, bytearray, memoryview) if binary else ()
        self._convert_one = lru_cache(1024)(lambda to: self.converter((to,)))
        self._validate = lru_cache(1024)(self._validator)

    def encode(self, value: Any) -> Any:
        """Encode what msgspec does not know, as its `enc_hook`: pydantic's models and types know how themselves.

        Raises:
            TypeError, ValueError: nobody knows how.

        """
        if self._enc_hook is not None:
            with contextlib.suppress(NotImplementedError):
                return self._enc_hook(value)
        if (simple := plain(value)) is not value:
            return simple
        dump = getattr(value, "model_dump", None)
        if dump is not None:
            return named(dump(mode="python", by_alias=True)) if self._binary else dump(mode="json", by_alias=True)
        pydantic_core = sys.modules.get("pydantic_core")
        # Only if the application uses it. What is built in is here as a key that JSON does not have, or to be used up.
        if pydantic_core is not None and type(value).__module__ != "builtins":
            try:
                return pydantic_core.to_jsonable_python(value)
            except ValueError:  # it does not know the type either
                pass
        raise TypeError(f"A value of type {type(value).__name__} cannot be sent to a client.")

    def convert(self, value: Any, to: Any) -> Any:
        """Turn one received value into a declared type.

        Raises:
            ValueError: it does not fit.
            TypeError: the type cannot be received.

        """
        if type(value) is Unreadable:
            raise value.error
        try:
            convert = self._convert_one(to)
        except TypeError:  # not hashable, so not remembered; or not to be received at all, which is said again
            convert = self.converter((to,))
        try:
            return convert([value])[0]
        except msgspec.ValidationError as error:
            text = str(error).removesuffix(" - at `$[0]`").replace(" - at `$[0]", " - at `$")
            raise msgspec.ValidationError(text) from None

    def converter(self, types: Sequence[Any]) -> Convert:
        """Prepare the conversion of arguments into the types that a method declares.

        Raises:
            TypeError: a type cannot be received.

        """
        types = tuple(map(told_apart, types))
        readers = {at: read for at, to in enumerate(types) if (read := self._reading.reader(to)) is not None}
        if all(to is Any for to in types):
            return partial(_read, readers) if readers else _unchanged
        apart = {at: way for at, to in enumerate(types) if (way := self._apart(to)) is not None}
        inner = [Any if at in apart else to for at, to in enumerate(types)]
        fields = [(f"_{at}", to, UNSET) for at, to in enumerate(inner)]
        # One conversion for all of them: msgspec prepares a class once, where it looks at a mere type at every call.
        arguments = msgspec.defstruct("Arguments", fields, array_like=True)
        is_complete = not self._check(arguments)
        fit = partial(msgspec.convert, type=arguments, builtin_types=self._native, str_keys=True, dec_hook=self._decode)
        plain = tuple(types) if PLAIN.issuperset(types) else None

        def convert(values: list[Any]) -> list[Any]:
            if plain is not None and tuple(map(type, values)) == plain:
                return values
            if readers:
                values = _read(readers, values)
            try:
                converted = fit(values)
            except msgspec.ValidationError:
                converted = None
            if converted is None:
                with contextlib.suppress(RecursionError):  # it does not fit, then
                    values = list(map(_without_negative_zeros, values))
                values = list(map(valued, values, inner))
                converted = fit(values)
            result = list(structs.astuple(converted)[: len(values)])
            if not is_complete:
                _complete(result)
            for at, way in apart.items():
                if at < len(result):
                    result[at] = way(result[at])
            return result

        return convert

    def _apart(self, to: Any) -> Callable[[Any], Any] | None:
        """Find the way for a type that msgspec does not take, or takes too narrowly; None if there is no need."""
        if _is_of_pydantic(to):
            return self._validator(to)
        if "pydantic" in sys.modules and not _is_told_apart(to):
            try:
                return self._validator(to)
            except TypeError:
                inspect.type_info(to)  # says why
                raise
        if (kind := _enum_of(to)) is None:
            return None
        return lambda value: msgspec.convert(value, to) if (found := member_of(kind, value)) is None else found

    def _decode(self, to: type, value: Any) -> Any:
        """Make what msgspec does not know, as its `dec_hook`: what is pydantic's inside of other classes."""
        if to is object:
            return value
        if types := _alternatives(to):
            return self._first_fit(types, value)
        if self._dec_hook is not None:
            with contextlib.suppress(NotImplementedError):
                return self._dec_hook(to, value)
        if (base := _base_of(to)) is not None:
            return to(self.convert(value, base))
        return self._validate(to)(value)

    def _first_fit(self, types: Sequence[Any], value: Any) -> Any:
        """Make the first type of several that fits: of objects the one that knows most of the properties.

        Raises:
            ValueError: none fits.

        """
        found: list[tuple[int, Any]] = []
        errors: list[str] = []
        for to in types:
            try:
                converted = self.convert(value, to)
            except ValueError as error:
                errors.append(str(error))
                continue
            fields = {folded(name) for name in declared_fields(to)} if type(value) is dict else set()
            unknown = len({folded(name) for name in value if type(name) is str} - fields) if fields else 0
            found.append((unknown, converted))
        if not found:
            raise msgspec.ValidationError("; or: ".join(errors))
        return min(found, key=lambda each: each[0])[1]

    def _validator(self, to: Any) -> Callable[[Any], Any]:
        """Let pydantic validate; a JSON value as JSON, so that its strict types, too, take text for what JSON lacks.

        Raises:
            TypeError: it does not know the type either, or the application does without it.

        """
        try:
            adapter = sys.modules["pydantic"].TypeAdapter(to)
        except Exception as error:  # what pydantic raises can be named only by importing it
            name = getattr(to, "__name__", to)
            raise TypeError(f"A value of type {name} cannot be received from a client.") from error
        binary = self._binary

        def validate(value: Any) -> Any:
            return adapter.validate_python(value) if binary else adapter.validate_json(msgspec.json.encode(value))

        def convert(value: Any) -> Any:
            try:
                return validate(value)
            except ValueError:
                pass
            return validate(valued(value, to))

        return convert

    def _check(self, arguments: type) -> bool:
        """Look for types that no received value can become, and for dataclasses, in whatever they are nested.

        Returns:
            whether there are dataclasses, which have to be completed.

        Raises:
            TypeError: there is one.

        """
        try:
            pending: list[Any] = [inspect.type_info(arguments)]
        except NameError as error:
            raise TypeError(f"An annotation cannot be resolved: {error}.") from error
        seen: set[int] = set()
        has_dataclass = False
        while pending:
            node = pending.pop()
            if id(node) in seen or not isinstance(node, inspect.Type | inspect.Field):
                continue
            seen.add(id(node))
            if isinstance(node, inspect.CustomType) and node.cls is not object:
                self._check_custom(node.cls)
            has_dataclass |= isinstance(node, inspect.DataclassType)
            for child in structs.astuple(node):
                pending.extend(child if isinstance(child, tuple) else (child,))
        return has_dataclass

    def _check_custom(self, to: type) -> None:
        """Look whether something knows how a type is made.

        Raises:
            TypeError: nothing does.

        """
        if types := _alternatives(to):
            for each in types:
                self.converter((each,))
        elif self._dec_hook is None and _base_of(to) is None:
            self._validate(to)


def _base_of(to: type) -> type | None:
    """Find the scalar whose subclass a type is, if that can be made of one."""
    return next((base for base in (str, int, float, bytes, UUID, Decimal) if issubclass(to, base)), None)


def _alternatives(to: type) -> tuple[Any, ...]:
    return to.types if issubclass(to, OneOf) else ()


def told_apart(to: Any) -> Any:
    """Put what is tried one after the other in place of unions that msgspec does not tell apart, at any depth."""
    to = meant(to)
    origin: Any = get_origin(to)
    arguments = get_args(to)
    if origin is Annotated:
        inner = told_apart(arguments[0])
        return to if inner is arguments[0] else Annotated[(inner, *arguments[1:])]
    if origin in (Union, UnionType):
        others = [each for each in arguments if each is not NoneType]
        if len(others) > 1 and not _is_of_pydantic(to) and not _is_told_apart(to):
            # Text fits everything that is written as text, so what says more of it is tried first.
            types = tuple(sorted(others, key=lambda each: (each is str, each is datetime)))
            one_of = OneOf.of(types, str(to))
            return one_of | None if len(others) < len(arguments) else one_of
        return to
    if isinstance(origin, type) and arguments and not isinstance(arguments[0], list):
        inner = tuple(map(told_apart, arguments))
        if any(new is not old for new, old in zip(inner, arguments, strict=True)):
            generic: Any = origin
            return generic[inner]
    return to


def _is_told_apart(union: Any) -> bool:
    try:
        inspect.type_info(union)
    except TypeError as error:
        return "union" not in str(error)
    except NameError:  # which is said elsewhere
        return True
    return True


def unsendable(error: Exception) -> ValueError:
    """Say why a value cannot be sent, where the encoder's own words do not."""
    if isinstance(error, RecursionError):
        return ValueError("A value that is nested too deeply, or in itself, cannot be sent.")
    if "date value" in str(error):
        return ValueError("A datetime that is outside of the years 1 to 9999 in UTC cannot be sent.")
    return ValueError(f"A number that does not fit into 64 bits cannot be sent: {error}.")


def _without_negative_zeros(value: Any) -> Any:
    """Write -0 as 0, at any depth: it does not fit where a whole number is declared."""
    if type(value) in (float, Decimal) and value == 0 and str(value).startswith("-"):
        return 0
    if type(value) is list:
        return [_without_negative_zeros(each) for each in value]
    if type(value) is dict:
        return {key: _without_negative_zeros(each) for key, each in value.items()}
    return value


def _complete(value: Any) -> None:
    """Give received dataclasses their defaults: msgspec leaves those in the class, and then would not send them."""
    if isinstance(value, list | tuple | set | frozenset):
        parts: Iterable[Any] = value
    elif isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, msgspec.Struct):
        parts = structs.astuple(value)
    elif dataclasses.is_dataclass(value):
        given = {
            name: getattr(value, name) for field in dataclasses.fields(value) if hasattr(value, name := field.name)
        }
        for name, part in given.items():
            object.__setattr__(value, name, part)
        parts = given.values()
    else:
        return
    for part in parts:
        _complete(part)


def _read(readers: Mapping[int, Read], values: list[Any]) -> list[Any]:
    values = list(values)
    for at, read in readers.items():
        if at < len(values):
            with contextlib.suppress(RecursionError):  # it does not fit, then
                values[at] = read(values[at])
    return values


def _unchanged(values: list[Any]) -> list[Any]:
    return values


def _is_of_pydantic(to: Any) -> bool:
    """Whether pydantic has a part in an annotation: one of its models or types, or a constraint that it checks."""
    if "pydantic" not in sys.modules:
        return False
    if get_origin(to) is Annotated:
        to, *metadata = get_args(to)
        if any(type(each).__module__.partition(".")[0] in ("pydantic", "annotated_types") for each in metadata):
            return True
    if hasattr(to, "__get_pydantic_core_schema__") or hasattr(to, "__pydantic_validator__"):
        return True
    return any(_is_of_pydantic(each) for each in get_args(to))


def _enum_of(to: Any) -> EnumMeta | None:
    """Find the enum that a type is, or is but for None."""
    if get_origin(to) in (Union, UnionType):
        others = [each for each in get_args(to) if each is not type(None)]
        return _enum_of(others[0]) if len(others) == 1 else None
    return to if isinstance(to, EnumMeta) else None
