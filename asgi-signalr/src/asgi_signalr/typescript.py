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
from collections.abc import Collection, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, EnumMeta
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec

from asgi_signalr.app import SignalR
from asgi_signalr.dependencies import hints_of
from asgi_signalr.hubs.conversation import HubConversation
from asgi_signalr.hubs.methods import HubMethod
from asgi_signalr.options import ValueForms
from asgi_signalr.protocols.enums import declared_fields

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
    parts: list[str] = []
    spelled = Spelling(signalr.options.value_forms)
    for path, handler in signalr.hub_handlers():
        parts.append(_hub(path, handler, spelled))
    return "\n".join([HEAD, *spelled.interfaces.values(), *parts])


def _hub(path: str, handler: HubConversation, spelled: "Spelling") -> str:
    methods = handler.methods.values()
    calls = [_line(each, spelled) for each in methods if not each.is_stream]
    streams = [_line(each, spelled) for each in methods if each.is_stream]
    handlers = _handlers(handler.client, spelled)
    name = handler.name
    return (
        _interface(f"{name}Methods", f"The methods of {name} that answer with one result.", calls)
        + _interface(f"{name}Streams", f"The methods of {name} that answer with a stream.", streams)
        + _interface(f"{name}Handlers", f"What {name} calls on its clients.", handlers)
        + f"/** A connection to {name}, at {path}. */\n"
        f"export type {name}Connection = TypedConnection<{name}Methods, {name}Streams, {name}Handlers>;\n"
    )


def _interface(name: str, says: str, lines: list[str]) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"/** {says} */\nexport interface {name} {{\n{body}}}\n\n"


def _line(method: HubMethod, spelled: "Spelling") -> str:
    parameters = [
        f"{name}{'?' if at >= method.required else ''}: {spelled(to)}"
        for at, (name, to) in enumerate(zip(method.parameters, method.types, strict=True))
    ]
    if method.uploads:  # a stream is an argument where it stands; clients may give it at any place
        parameters = [each.replace("?:", ":") for each in parameters]
        parameters += [f"{name}: IStreamResult<{spelled(to)}>" for name, to in method.uploads.items()]
    if method.rest is not None:
        parameters.append(f"...{method.rest_name}: ({spelled(method.rest)})[]")
    return f"{_property(method.name)}({', '.join(parameters)}): {spelled(method.answer, is_result=True)};"


def _handlers(client: type | None, spelled: "Spelling") -> list[str]:
    lines = []
    for name, function in vars(client).items() if client is not None else ():
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        hints = hints_of(function, name)
        names = [*inspect.signature(function).parameters][1:]
        parameters = ", ".join(f"{each}: {spelled(hints.get(each, Any))}" for each in names)
        returns = hints.get("return", Any)
        result = "void" if returns in (None, NoneType, Any) else f"{spelled(returns)} | Promise<{spelled(returns)}>"
        lines.append(f"{_property(name)}: ({parameters}) => {result};")
    return lines


def _property(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else json.dumps(name)


class Spelling:
    """Writes Python's types as TypeScript's, and keeps an interface for each class that it meets.

    Args:
        forms: how values are written.

    """

    def __init__(self, forms: ValueForms) -> None:
        self._is_dotnet = forms == "dotnet"
        self.interfaces: dict[Any, str] = {}
        self._names: dict[Any, str] = {}

    def __call__(self, to: Any, *, is_result: bool = False) -> str:
        """Write a type; what nothing is known of is `unknown`, and what returns nothing `void`."""
        if to in (None, NoneType):
            return "void" if is_result else "null"
        if to is Decimal:
            return "number" if self._is_dotnet else "string"
        if isinstance(to, type) and (plain := _PLAIN.get(to)) is not None:
            return plain
        if isinstance(to, EnumMeta):
            return " | ".join(json.dumps(each.value) for each in list[Enum](to)) or "never"
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
        while name in self._names.values():
            name, number = f"{plain}{arguments}{number}", number + 1
        self._names[to] = name  # before its fields are written: it may be in itself
        self.interfaces[to] = ""
        kind = get_origin(to) or to
        if issubclass(kind, tuple) or getattr(getattr(kind, "__struct_config__", None), "array_like", False):
            body = f"export type {name} = [{', '.join(map(self, fields.values()))}];\n"
        else:
            optional = _optional(kind)
            lines = [
                f"    {_property(self._cased(each))}{'?' if each in optional else ''}: {self(of)};\n"
                for each, of in fields.items()
            ]
            body = f"export interface {name} {{\n{''.join(lines)}}}\n"
        self.interfaces[to] = body
        return name

    def _cased(self, name: str) -> str:
        if not self._is_dotnet:
            return name
        first, *rest = [each for each in name.split("_") if each] or [name]
        return first[:1].lower() + first[1:] + "".join(each[:1].upper() + each[1:] for each in rest)


def _optional(kind: type) -> Collection[str]:
    """List the properties that need not be given."""
    if (model := getattr(kind, "model_fields", None)) is not None:
        return {field.alias or name for name, field in model.items() if not field.is_required()}
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
