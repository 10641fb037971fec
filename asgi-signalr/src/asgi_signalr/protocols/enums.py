"""Enums by name: MessagePack has a member's name where JSON has its value, as with ASP.NET Core; both take either.

What is written of a `Flag` is what .NET writes: `READ, WRITE`, and for what has no name the number, as text.
"""

import copy
import datetime
import decimal
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum, EnumMeta, Flag
from functools import lru_cache, partial, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import UNSET, Struct, structs

FREE = frozenset(
    (
        *(str, int, float, bool, NoneType, bytes, uuid.UUID, decimal.Decimal),
        *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
    )
)
"""Types whose values are no members of an enum, and hold none."""

# Sending: names in place of members, in a copy that is then written as the original would have been.


def named(value: Any) -> Any:
    """Put names in place of an enum's members, at any depth; the value itself stays as it is."""
    kind: type = type(value)
    look = _look(kind)
    return value if look is None else look(value)


def is_free(to: Any) -> bool:
    """Whether what is declared so needs no look: an int stays a number, be it a member of an `IntEnum`."""
    to = meant(to)
    origin = get_origin(to)
    if origin is Annotated:
        return is_free(get_args(to)[0])
    if origin in (Union, UnionType, list, set, frozenset, tuple, dict):
        return all(each is Ellipsis or is_free(each) for each in get_args(to))
    return origin is Literal or to is None or (isinstance(to, type) and to in FREE)


@lru_cache(1024)
def _look(kind: type) -> Callable[[Any], Any] | None:
    """Find out how to look for members in values of a type; None: there are none."""
    if kind in FREE:
        return None
    if issubclass(kind, Enum):
        return name_of
    if issubclass(kind, dict):
        return _in_dict
    if issubclass(kind, list | tuple | set | frozenset):
        return _in_items
    hints = _hints(kind)
    names = [name for name in _field_names(kind) if not is_free(hints.get(name, Any))]
    return partial(_in_fields, names) if names else None


def _field_names(kind: type) -> Sequence[str]:
    if issubclass(kind, Struct):
        return kind.__struct_fields__
    if hasattr(kind, "__dataclass_fields__"):
        return tuple(kind.__dataclass_fields__)
    return [each.name for each in getattr(kind, "__attrs_attrs__", ())]


def name_of(member: Any) -> str:
    """Name a member as .NET does."""
    name: str | None = member._name_
    if isinstance(member, Flag) and name not in type(member).__members__:
        parts = list(member)
        is_named = parts and reduce(or_, parts) == member
        return ", ".join(str(each._name_) for each in parts) if is_named else str(member.value)
    return str(name)


def _are_free(items: Iterable[Any]) -> bool:
    return FREE.issuperset(map(type, items)) or not any(map(_look, set(map(type, items))))


def _in_items(items: Collection[Any]) -> Any:
    if _are_free(items):
        return items
    return [named(each) for each in items]


def _in_dict(items: dict[Any, Any]) -> Any:
    if _are_free(items) and _are_free(items.values()):
        return items
    return {name_of(key) if isinstance(key, Enum) else key: named(each) for key, each in items.items()}


def _in_fields(names: Sequence[str], value: Any) -> Any:
    """Look into an object, and copy it if something is found: how it is written is the encoder's affair."""
    parts = {name: getattr(value, name, UNSET) for name in names}
    found = {name: new for name, part in parts.items() if (new := named(part)) is not part}
    if isinstance(value, Struct) and value.__struct_config__.omit_defaults:
        for field in structs.fields(value):
            if parts.get(field.name) is field.default:  # it is left out, but would no longer be
                found.pop(field.name, None)
    if not found:
        return value
    value = copy.copy(value)
    put = structs.force_setattr if isinstance(value, Struct) else object.__setattr__
    for name, new in found.items():
        put(value, name, new)
    return value


# Receiving: values in place of names, for what was not taken as it came.


def member_of(kind: EnumMeta, name: Any) -> Any:
    """Find the member that a name stands for; None if it is no name, or if it is another member's value."""
    if type(name) is not str:
        return None
    names = _names(kind)
    if name in names:
        return names[name]
    if issubclass(kind, Flag):
        parts = [names.get(each.strip()) for each in name.split(",")]
        if None not in parts:
            return reduce(or_, parts)
        if name.isdecimal():
            try:
                return kind(int(name))
            except ValueError:  # no member has such a bit
                pass
    return None


@lru_cache(1024)
def _names(kind: EnumMeta) -> Mapping[str, Any]:
    members: Mapping[str, Any] = kind.__members__
    values = [member.value for member in members.values()]
    return {name: member for name, member in members.items() if name not in values}


def valued(value: Any, to: Any) -> Any:
    """Put values in place of names wherever a type has an enum; whatever else does not fit stays as it is."""
    try:
        return _valued(value, to)
    except RecursionError:  # it does not fit, then
        return value


def _valued(value: Any, to: Any) -> Any:
    to = meant(to)
    origin, arguments = get_origin(to), get_args(to)
    if origin is Annotated:
        return _valued(value, arguments[0])
    if origin in (Union, UnionType):
        return reduce(_valued, arguments, value)
    if isinstance(to, EnumMeta):
        member = member_of(to, value)
        return value if member is None else member.value
    if getattr(to, "__pydantic_root_model__", False):
        return _valued(value, to.model_fields["root"].annotation)
    if type(value) is list:
        types = _item_types(to, len(value))
        return [*map(_valued, value, types), *value[len(types) :]]
    if type(value) is dict:
        if len(arguments) == 2 and issubclass(origin, Mapping):
            return {_valued(key, arguments[0]): _valued(each, arguments[1]) for key, each in value.items()}
        fields = _fields(to)
        return {key: _valued(each, fields.get(key)) for key, each in value.items()}
    return value


def _item_types(to: Any, count: int) -> Sequence[Any]:
    """List the types of an array's items: a tuple's, an object's that is written as one, or one for all."""
    origin, arguments = get_origin(to), get_args(to)
    if origin is tuple and Ellipsis not in arguments:
        return arguments
    if isinstance(origin, type) and issubclass(origin, Iterable) and arguments:
        return arguments[:1] * count
    return tuple(_fields(to).values())


def _fields(to: Any) -> Mapping[str, Any]:
    """List the types of an object's properties, by the names they have in messages."""
    kind = get_origin(to) or to
    if not isinstance(kind, type):
        return {}
    generic = dict(zip(getattr(kind, "__parameters__", ()), get_args(to), strict=False))
    return {name: filled(each, generic) for name, each in _declared_fields(kind).items()}


@lru_cache(1024)
def _declared_fields(kind: type) -> Mapping[str, Any]:
    if hasattr(kind, "model_fields"):  # one of pydantic's
        return {
            name: field.annotation
            for own, field in kind.model_fields.items()
            for name in (own, field.alias, *getattr(field.validation_alias, "choices", [field.validation_alias]))
            if isinstance(name, str)
        }
    hints = _hints(kind)
    if issubclass(kind, Struct):
        return {
            wire: hints.get(own, Any)
            for own, wire in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
        }
    return hints


def declared_fields(to: Any) -> Mapping[str, Any]:
    """List the types of the properties of a class whose values travel as objects; none for any other type."""
    kind = get_origin(to) or to
    if not isinstance(kind, type):
        return {}
    is_object = (
        issubclass(kind, Struct)
        or hasattr(kind, "__dataclass_fields__")
        or hasattr(kind, "__attrs_attrs__")
        or hasattr(kind, "__total__")
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
        or (hasattr(kind, "model_fields") and not getattr(kind, "__pydantic_root_model__", False))
    )
    return _fields(to) if is_object else {}


def meant(to: Any) -> Any:
    """Find the type that a name stands for, which `NewType` or an alias has given it; any other is itself."""
    while True:
        origin = get_origin(to)
        if (base := getattr(to, "__supertype__", None)) is not None:
            to = base
        elif type(to).__name__ == "TypeAliasType":
            to = to.__value__
        elif type(origin).__name__ == "TypeAliasType":
            to = filled(origin.__value__, dict(zip(origin.__type_params__, get_args(to), strict=False)))
        else:
            return to


def filled(hint: Any, generic: Mapping[Any, Any]) -> Any:
    """Put types in place of a generic class's parameters."""
    if isinstance(hint, TypeVar):
        return generic.get(hint, hint)
    parameters = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    return hint[tuple(generic.get(each, each) for each in parameters)] if parameters else hint


def _hints(kind: type) -> Mapping[str, Any]:
    try:
        return get_type_hints(kind)
    except Exception:  # noqa: BLE001  (anything may be written there, and names that are not found)
        return {}
