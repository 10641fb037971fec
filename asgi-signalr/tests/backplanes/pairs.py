"""Two servers that have each other's messages: where most of what goes wrong begins."""

from typing import Any


async def started(open_node: Any, url: str, **options: Any) -> tuple[Any, Any]:
    """Two nodes at this URL, which have the messages 1 to 3."""
    one, other = [await open_node(url, **options) for _ in range(2)]
    await one.send(b"1", b"2", b"3")
    await one.has(b"1", b"2", b"3")
    await other.has(b"1", b"2", b"3")
    return one, other


async def say_the_gap_once_and_go_on(one: Any, other: Any) -> None:
    """Both say that messages may be lost, and then have the message 4 as well."""
    for node in (one, other):
        await node.until(lambda node: bool(node.gaps))
    await other.send(b"4")
    for node in (one, other):
        await node.has(b"1", b"2", b"3", b"4")
        assert len(node.gaps) == 1
