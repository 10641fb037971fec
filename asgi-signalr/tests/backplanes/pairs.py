"""Two servers that have each other's messages: where most of what goes wrong begins."""

from typing import Any


async def started(open_node: Any, url: str, **options: Any) -> tuple[Any, Any]:
    """Two nodes at this URL, which have the messages 1 to 3."""
    one, other = [await open_node(url, **options) for _ in range(2)]
    await one.send(b"1", b"2", b"3")
    await one.has(b"1", b"2", b"3")
    await other.has(b"1", b"2", b"3")
    return one, other
