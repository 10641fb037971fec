"""Shows a backplane's messages as they arrive: for people who want to see what their servers tell each other."""

import asyncio
import json
import re
import shutil
import sys
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from asgi_signalr.backplanes import open_backplane, sender
from asgi_signalr.scaleout import view

if TYPE_CHECKING:
    from asgi_signalr.backplanes.tables import Message, TableBackplane

_PAUSE = 0.2
"""Seconds between two looks."""


class TailError(Exception):
    """The messages cannot be shown; the text says why, and what to do."""


async def tail_messages(url: str, *, once: bool, lines: int | None, as_json: bool) -> None:
    """Write messages to stdout: the last `lines`, then, unless `once`, every new one.

    Raises:
        TailError: this URL has no messages to show.

    """
    try:
        backplane = open_backplane(url)
    except (ImportError, ValueError) as error:
        raise TailError(str(error)) from error
    from asgi_signalr.backplanes.tables import TableBackplane

    if not isinstance(backplane, TableBackplane):
        raise TailError("memory:// keeps no messages: those of a backplane with a server or a file are shown")
    tail = _Tail(backplane, as_json)
    try:
        if once:
            await tail.show_all(lines)
        else:
            await tail.follow(10 if lines is None else lines)
    except backplane.TROUBLE as error:
        raise TailError(backplane._trouble(error)) from error


async def kept_messages(url: str) -> list["Message"]:
    """The messages that a backplane keeps, in their order: one for each that an application has published.

    Raises:
        NothingYet: nobody has used this backplane so far.

    """
    from asgi_signalr.backplanes.tables import Message, TableBackplane

    backplane = open_backplane(url)
    if not isinstance(backplane, TableBackplane):
        raise TailError("memory:// keeps no messages")
    return [
        Message(each.payload_id, payload, _time_of(each), each.sender)
        for each in await _kept(backplane, None)
        for payload in backplane._payloads(each)
    ]


async def _kept(backplane: "TableBackplane[Any]", lines: int | None) -> list["Message"]:
    connection = await backplane._look()
    messages: list[Message] = []
    try:
        top = (await backplane._page(connection, None)).top
        last = 0 if lines is None else max(top - lines, 0)
        while last < top and (page := await backplane._page(connection, last)).messages:
            messages.extend(page.messages)
            last = messages[-1].payload_id
    finally:
        await backplane._close(connection)
    return messages


class _Tail:
    """One look at one backplane."""

    def __init__(self, backplane: "TableBackplane[Any]", as_json: bool) -> None:
        self._backplane = backplane
        self._as_json = as_json

    async def show_all(self, lines: int | None) -> None:
        """Show the messages that are there; JSON is one document."""
        from asgi_signalr.backplanes.tables import NothingYet

        try:
            messages = await _kept(self._backplane, lines)
        except NothingYet as error:
            raise TailError(str(error)) from error
        if self._as_json:
            shown = [_to_dict(message, payload) for message in messages for payload in self._payloads(message)]
            sys.stdout.write(json.dumps({"schema": 1, "messages": shown}, indent=2, ensure_ascii=False) + "\n")
        else:
            for message in messages:
                self._show(message)
            if not messages:
                sys.stderr.write(f"No messages in {self._backplane._there} yet.\n")

    async def follow(self, lines: int) -> None:
        """Show the last messages, then each new one, until interrupted; survives restarts of what keeps them."""
        from asgi_signalr.backplanes.tables import NothingYet

        last: int | None = None
        epoch: Any = None
        connected = said = False
        while True:
            connection = None
            try:
                connection = await self._backplane._look()
                connected = True
                while True:
                    page = await self._backplane._page(connection, last)
                    if last is None:
                        last, epoch = max(page.top - lines, 0), page.epoch
                        continue
                    if page.epoch != epoch:
                        self._note("The tables were made anew, or restored; the numbers may begin again.")
                        last, epoch = 0, page.epoch
                        continue
                    for message in page.messages:
                        self._show(message)
                        last = message.payload_id
                    if not page.messages:
                        last = page.top  # lower after a restore, higher after a purge
                        await asyncio.sleep(_PAUSE)
            except NothingYet as error:
                if not said:
                    self._note(f"{error}. Waiting …")
                    said = connected = True
                await asyncio.sleep(0.5)
            except self._backplane.TROUBLE as error:
                if not connected:
                    raise
                self._note(f"{self._backplane._trouble(error)}; trying again …")
                await asyncio.sleep(1.0)
            finally:
                if connection is not None:
                    await self._backplane._close(connection)

    def _payloads(self, message: "Message") -> list[bytes]:
        return list(self._backplane._payloads(message))

    def _note(self, text: str) -> None:
        if sys.stderr.isatty():
            text = textwrap.fill(text, shutil.get_terminal_size().columns, break_on_hyphens=False)
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def _show(self, message: "Message") -> None:
        for payload in self._payloads(message):
            if self._as_json:
                line = json.dumps(_to_dict(message, payload), ensure_ascii=False)
            else:
                time = _time_of(message).astimezone().strftime("%H:%M:%S")
                who = sender.name_of(message.sender) or str(message.sender)[:8]
                line = f"{message.payload_id:>5}  {time}  from {who}  {view.describe(payload)}"
                if sys.stdout.isatty():
                    line = at_words(line, shutil.get_terminal_size().columns)
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def at_words(line: str, columns: int) -> str:
    """A message's line as a terminal of that width shows it whole: ended at words, its further lines further right."""
    spaced = re.sub(r",(?=[\"{\[])", ", ", line)
    return textwrap.fill(spaced, max(columns, 20), subsequent_indent=" " * 7, break_on_hyphens=False)


def _time_of(message: "Message") -> datetime:
    """When a message was stored; an engine whose times have no zone means UTC."""
    time: datetime = message.inserted_on
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _to_dict(message: "Message", payload: bytes) -> dict[str, Any]:
    try:
        what = view.to_dict(payload)
    except ValueError as error:
        what = {"kind": "unknown", "error": str(error)}
    return {
        "id": message.payload_id,
        "time": _time_of(message).isoformat(),
        "sender": str(message.sender),
        "server": sender.name_of(message.sender),
        "size": len(payload),
        **what,
    }
