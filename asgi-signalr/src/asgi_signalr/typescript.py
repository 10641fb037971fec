"""TypeScript types of the hubs of an application, so that a page's `invoke`, `send`, `stream` and `on` are checked.

    asgi-signalr types main:signalr > src/hubs.ts

What hubs call on their clients is known where a class says it: `@signalr.hub("/chat", client=ChatClient)`, whose
methods are the handlers.
"""

import importlib
import inspect
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, EnumMeta, Flag
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec

from asgi_signalr.app import SignalR
from asgi_signalr.dependencies import hints_of
from asgi_signalr.hubs.conversation import HubConversation
from asgi_signalr.hubs.methods import HubMethod
from asgi_signalr.options import ValueForms
from asgi_signalr.protocols.enums import declared_fields, meant
from asgi_signalr.protocols.writing import Writing

HEAD = """\
// Made by `asgi-signalr types`; not to be edited.
import type { HubConnection, IStreamResult } from "@microsoft/signalr";

type Handler = (...args: any[]) => any;

/** A connection whose calls are checked: made by `as`, `builder.build() as unknown as ChatConnection`. */
export interface TypedConnection<Methods, Streams, Handlers>
    extends Omit<HubConnection, "invoke" | "send" | "stream" | "on" | "off"> {
    invoke<Name extends keyof Methods & string>(
        methodName: Name, ...args: Methods[Name] extends Handler ? Parameters<Methods[Name]> : never
    ): Promise<Methods[Name] extends Handler ? ReturnType<Methods[Name]> : never>;
    send<Name extends keyof Methods & string>(
        methodName: Name, ...args: Methods[Name] extends Handler ? Parameters<Methods[Name]> : never
    ): Promise<void>;
    stream<Name extends keyof Streams & string>(
        methodName: Name, ...args: Streams[Name] extends Handler ? Parameters<Streams[Name]> : never
    ): IStreamResult<Streams[Name] extends Handler ? ReturnType<Streams[Name]> : never>;
    on<Name extends keyof Handlers & string>(methodName: Name, newMethod: Handlers[Name]): void;
    off<Name extends keyof Handlers & string>(methodName: Name, method?: Handlers[Name]): void;
}
"""


class TypesError(Exception):
    """There are no types to be written; the message says why, and what to do."""


def find_application(where: str) -> SignalR:
    """Import an application, named as for uvicorn.

    Raises:
        TypesError: there is none.

    """
    module_name, _, path = where.partition(":")
    if not module_name or not path:
        raise TypesError(f"{where!r} names no application; write it as uvicorn does, such as main:signalr.")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  (as `python -m` does)
    try:
        found: Any = importlib.import_module(module_name)
        for name in path.split("."):
            found = getattr(found, name)
    except ModuleNotFoundError as error:
        raise TypesError(f"There is no module {error.name!r} here; run it where the application is started.") from error
    except AttributeError as error:
        raise TypesError(f"{error}.") from error
    if not isinstance(found, SignalR):
        raise TypesError(f"{where} is no SignalR, but {type(found).__name__}.")
    return found


def types_of(signalr: SignalR) -> str:
    """Write the types of all hubs of an application."""
    hubs = signalr.hub_handlers()
    taken = {*_TAKEN, *(f"{handler.name}{part}" for _, handler, _ in hubs for part in _PARTS)}
    spellings: dict[ValueForms, Spelling] = {forms: Spelling(forms, taken) for _, _, forms in hubs}
    parts = [_hub(path, handler, spellings[forms]) for path, handler, forms in hubs]
    interfaces = [each for spelling in spellings.values() for each in spelling.interfaces.values()]
    return "\n".join([HEAD, *interfaces, *parts])


_PARTS = ("Methods", "Streams", "Handlers", "Connection")
# What is declared above, or used of TypeScript's own: no class of the application is to hide it.
_TAKEN = (
    *("HubConnection", "IStreamResult", "TypedConnection", "Handler", "Methods", "Streams", "Handlers", "Name"),
    *("Omit", "Parameters", "Promise", "Record", "ReturnType"),
)


def _hub(path: str, handler: HubConversation, spelled: "Spelling") -> str:
    methods = handler.methods.values()
    calls = [_line(each, spelled) for each in methods if not each.is_stream]
    streams = [_line(each, spelled) for each in methods if each.is_stream]
    name = handler.name
    of_clients = (
        f"/** What {name} calls on its clients is not known: `client=` of its `@signalr.hub` says it. */\n"
        f"export type {name}Handlers = Record<string, Handler>;\n\n"
        if handler.client is None
        else _interface(f"{name}Handlers", f"What {name} calls on its clients.", _handlers(handler.client, spelled))
    )
    return (
        _interface(f"{name}Methods", f"The methods of {name} that answer with one result.", calls)
        + _interface(f"{name}Streams", f"The methods of {name} that answer with a stream.", streams)
        + of_clients
        + f"/** A connection to {name}, at {path}. */\n"
        f"export type {name}Connection = TypedConnection<{name}Methods, {name}Streams, {name}Handlers>;\n"
    )


def _interface(name: str, says: str, lines: list[str]) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"/** {says} */\nexport interface {name} {{\n{body}}}\n\n"


def _line(method: HubMethod, spelled: "Spelling") -> str:
    parameters = [
        f"{_parameter(name)}{'?' if at >= method.required else ''}: {spelled(to)}"
        for at, (name, to) in enumerate(zip(method.parameters, method.types, strict=True))
    ]
    if method.uploads:  # a stream is an argument where it stands; clients may give it at any place
        parameters = [each.replace("?:", ":") for each in parameters]
        parameters += [f"{_parameter(name)}: IStreamResult<{spelled(to)}>" for name, to in method.uploads.items()]
    if method.rest is not None:
        parameters.append(f"...{_parameter(method.rest_name)}: ({spelled(method.rest)})[]")
    return f"{_property(method.name)}({', '.join(parameters)}): {spelled(method.answer, is_result=True)};"


def _handlers(client: type, spelled: "Spelling") -> list[str]:
    lines = []
    of_bases = [vars(each) for each in reversed(client.__mro__) if each is not object]
    for name, function in {name: each for members in of_bases for name, each in members.items()}.items():
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        hints = hints_of(function, name)
        parameters = ", ".join(
            _handed(each, spelled(hints.get(each.name, Any)))
            for each in list(inspect.signature(function).parameters.values())[1:]
        )
        returns = hints.get("return", Any)
        result = "void" if returns in (None, NoneType, Any) else f"{spelled(returns)} | Promise<{spelled(returns)}>"
        lines.append(f"{_property(name)}: ({parameters}) => {result};")
    return lines


def _handed(parameter: inspect.Parameter, of: str) -> str:
    name = _parameter(parameter.name)
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"...{name}: ({of})[]"
    return f"{name}: {of}" if parameter.default is parameter.empty else f"{name}?: {of}"


_RESERVED = frozenset(
    (
        *("arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default"),
        *("delete", "do", "else", "enum", "eval", "export", "extends", "false", "finally", "for", "function", "if"),
        *("implements", "import", "in", "instanceof", "interface", "let", "new", "null", "package", "private"),
        *("protected", "public", "readonly", "return", "static", "super", "switch", "this", "throw", "true", "try"),
        *("typeof", "var", "void", "while", "with", "yield"),
    )
)


def _property(name: str) -> str:
    return name if name.isidentifier() and name.isascii() and name not in _RESERVED else json.dumps(name)


def _parameter(name: str) -> str:
    return f"{name}_" if name in _RESERVED else name


class Spelling:
    """Writes Python's types as TypeScript's, and keeps an interface for each class that it meets.

    Args:
        forms: how values are written.
        taken: names that no interface may have; those that are given here are added.

    """

    def __init__(self, forms: ValueForms, taken: set[str]) -> None:
        self._writing = Writing(binary=False) if forms == "dotnet" else None
        self._taken = taken
        self.interfaces: dict[Any, str] = {}
        self._names: dict[Any, str] = {}

    def __call__(self, to: Any, *, is_result: bool = False) -> str:
        """Write a type; what nothing is known of is `unknown`, and what returns nothing `void`."""
        to = meant(to)
        if to in (None, NoneType):
            return "void" if is_result else "null"
        if to is Decimal:
            return "string" if self._writing is None else "number"
        if isinstance(to, type) and (plain := _PLAIN.get(to)) is not None:
            return plain
        if isinstance(to, EnumMeta):
            values = [each.value for each in list[Enum](to)]
            if issubclass(to, Flag):  # any number of its members together
                return "number"
            spelled = (json.dumps(each) if isinstance(each, str | int | float) else self(type(each)) for each in values)
            return " | ".join(dict.fromkeys(spelled)) or "never"
        origin, arguments = get_origin(to), get_args(to)
        if origin is Annotated:
            return self(arguments[0], is_result=is_result)
        if origin is Literal:
            return " | ".join(json.dumps(each) for each in arguments)
        if origin in (Union, UnionType):
            return " | ".join(dict.fromkeys(map(self, arguments)))
        if isinstance(to, TypeVar):
            return self(to.__bound__) if to.__bound__ else "unknown"
        if fields := declared_fields(to):
            return self._interface(to, fields)
        kind = origin or to
        if isinstance(kind, type) and issubclass(kind, Mapping):
            return f"Record<string, {self(arguments[1]) if len(arguments) == 2 else 'unknown'}>"
        if kind is tuple and arguments and Ellipsis not in arguments:
            return f"[{', '.join(map(self, arguments))}]"
        if isinstance(kind, type) and issubclass(kind, Collection) and kind is not str:
            return f"({self(arguments[0])})[]" if arguments else "unknown[]"
        base = next((each for each in _PLAIN if isinstance(kind, type) and issubclass(kind, each)), None)
        return _PLAIN[base] if base is not None else "unknown"

    def _interface(self, to: Any, fields: Mapping[str, Any]) -> str:
        if to in self._names:
            return self._names[to]
        plain = "".join(each for each in str(getattr(to, "__name__", to)) if each.isalnum())
        arguments = "".join("".join(filter(str.isalnum, getattr(each, "__name__", "Any"))) for each in get_args(to))
        name, number = plain + arguments, 2
        while name in self._taken:
            name, number = f"{plain}{arguments}{number}", number + 1
        self._taken.add(name)
        self._names[to] = name  # before its fields are written: it may be in itself
        self.interfaces[to] = ""
        kind = get_origin(to) or to
        if issubclass(kind, tuple) or getattr(getattr(kind, "__struct_config__", None), "array_like", False):
            body = f"export type {name} = [{', '.join(map(self, fields.values()))}];\n"
        else:
            optional = _optional(kind)
            lines = [
                f"    {_property(written)}{'?' if each in optional else ''}: {self(fields[each])};\n"
                for each, written in self._names_of(kind, fields)
            ]
            lines += [f"    readonly {_property(each)}?: {self(of)};\n" for each, of in self._computed(kind).items()]
            body = f"export interface {name} {{\n{''.join(lines)}}}\n"
        self.interfaces[to] = body
        return name

    def _names_of(self, kind: type, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """List the properties of a class, by the names that its fields have, and as they are written."""
        if self._writing is not None and (names := self._writing.names(kind)) is not None:
            encoded = dict(zip(*_struct_names(kind), strict=True))
            return [(encoded.get(own, own), written) for own, written in names if encoded.get(own, own) in fields]
        model: Mapping[str, Any] | None = getattr(kind, "model_fields", None)
        if model is None:
            return [(each, each) for each in fields]
        named = [
            (own, each.serialization_alias or each.alias or own) for own, each in model.items() if not each.exclude
        ]
        return [(own, written) for own, written in named if own in fields]

    def _computed(self, kind: type) -> Mapping[str, Any]:
        """List what a model computes, which is written and not read."""
        decorators = getattr(kind, "__pydantic_decorators__", None)
        written = dict((self._writing.names(kind) or ()) if self._writing is not None else ())
        return {
            written.get(own, each.info.alias or own): each.info.return_type
            for own, each in (decorators.computed_fields.items() if decorators is not None else ())
        }


def _struct_names(kind: Any) -> tuple[Sequence[str], Sequence[str]]:
    return getattr(kind, "__struct_fields__", ()), getattr(kind, "__struct_encode_fields__", ())


def _optional(kind: type) -> Collection[str]:
    """List the properties that need not be given."""
    if (model := getattr(kind, "model_fields", None)) is not None:
        return {name for name, field in model.items() if not field.is_required()}
    if (keys := getattr(kind, "__optional_keys__", None)) is not None:
        return set(keys)
    info = msgspec.inspect.type_info(kind)
    return {each.encode_name for each in getattr(info, "fields", ()) if not each.required}


_PLAIN: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    bytes: "string",
    bytearray: "string",
    datetime: "string",
    date: "string",
    time: "string",
    timedelta: "string",
    UUID: "string",
    object: "unknown",
}


def main(where: str) -> int:
    """Write the types of an application's hubs; returns the exit status."""
    try:
        sys.stdout.write(types_of(find_application(where)))
    except TypesError as error:
        sys.stderr.write(f"asgi-signalr types: {error}\n")
        return 1
    return 0
