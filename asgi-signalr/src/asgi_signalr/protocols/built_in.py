"""Which protocols a server speaks."""

from collections.abc import Collection, Mapping

from asgi_signalr.options import DecHook, EncHook, ValueForms
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol

BUILT_IN: Mapping[str, HubProtocol] = {"json": JsonHubProtocol(), "messagepack": MessagePackHubProtocol()}


def chosen(protocols: Collection[str | HubProtocol]) -> dict[str, HubProtocol]:
    """Find the protocols that a server is to speak, by their names: built-in ones by name, own ones as they are.

    Raises:
        ValueError: none is chosen, there is no such protocol, or two have the same name.
        TypeError: something is no protocol.

    """
    found: dict[str, HubProtocol] = {}
    for each in (protocols,) if isinstance(protocols, str) else protocols:
        protocol = BUILT_IN.get(each) if isinstance(each, str) else each
        if protocol is None:
            raise ValueError(f"There is no protocol {each!r}; there are {', '.join(BUILT_IN)}, and one's own.")
        if missing := [name for name in _MEMBERS if not hasattr(protocol, name)]:
            raise TypeError(f"{protocol!r} is no hub protocol: it has no {missing[0]}.")
        if protocol.name in found:
            raise ValueError(f"There are two protocols named {protocol.name!r}.")
        found[protocol.name] = protocol
    if not found:
        raise ValueError("Choose at least one protocol.")
    return found


def formed(
    protocols: Mapping[str, HubProtocol],
    value_forms: ValueForms,
    *,
    exact: bool = False,
    named_floats: bool = False,
    enc_hook: EncHook | None = None,
    dec_hook: DecHook | None = None,
) -> Mapping[str, HubProtocol]:
    """Have protocols write values in other forms, read numbers exactly, or know own types; one's own stay the same."""

    def make(protocol: HubProtocol) -> HubProtocol:
        if not isinstance(protocol, JsonHubProtocol | MessagePackHubProtocol):
            return protocol
        return protocol.formed(
            value_forms, exact=exact, named_floats=named_floats, enc_hook=enc_hook, dec_hook=dec_hook
        )

    return {name: make(protocol) for name, protocol in protocols.items()}


_MEMBERS = ("name", "version", "binary", "parse", "write", "convert", "converter")
