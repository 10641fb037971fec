"""What the README shows works as it is printed."""

import ast
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from asgi_signalr import SignalR, hub_method
from asgi_signalr.options import Options

README = Path(__file__).parent.parent / "README.md"


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


async def test_the_chat_lets_everybody_hear_what_one_says(
    request_to: Callable[..., Awaitable[Any]], connect: Callable[..., Awaitable[Any]]
) -> None:
    names: dict[str, Any] = {}
    exec(compile(python_blocks()[0], README, "exec"), names)
    app = names["app"]
    # The framework leaves its own marks in the scope; a real server's scope has the rest.
    peers = [await connect(app, "/signalr/chat") for _ in range(2)]
    peers[0].invoke("say", "hello", id=None)
    for peer in peers:
        assert await peer.frame() == '{"type":1,"target":"said","arguments":["hello"]}\x1e'
    assert "/signalr/signalr.js" in (await request_to(app, "GET", "/", scheme="http", server=("test", 80))).text
    assert (await request_to(app, "GET", "/signalr/signalr.js")).status == 200


def test_the_other_blocks_are_python() -> None:
    for block in python_blocks():
        compile(block, README, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_second_hub_can_be_served() -> None:
    names: dict[str, Any] = {"hub_method": hub_method}
    exec(compile(python_blocks()[1], README, "exec"), names)
    SignalR().hub("/room")(names["Room"])


def test_every_option_is_in_the_table_and_nothing_else() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    options = list(Options.__dataclass_fields__)
    assert sorted(listed) == sorted([*options, "backplane"])
