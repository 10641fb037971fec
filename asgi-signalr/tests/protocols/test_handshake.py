"""The handshake's requests and answers, without a connection."""

import json

import pytest
from asgi_signalr.errors import InvalidDataError
from asgi_signalr.hubs.handshake import AGREED, HandshakeError, choose_protocol, refused, take_request
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol

PROTOCOLS: dict[str, HubProtocol] = {"json": JsonHubProtocol(), "messagepack": MessagePackHubProtocol()}


NO_INT = "Either the JSON value is not in a supported format, or is out of bounds for an Int32."


@pytest.mark.parametrize("name", ["json", "messagepack"])
@pytest.mark.parametrize("version", [1, 2])
def test_the_protocol_and_its_version_are_agreed_upon(name: str, version: int) -> None:
    request = json.dumps({"protocol": name, "version": version}).encode()
    assert choose_protocol(request, PROTOCOLS, binary_allowed=True) == (PROTOCOLS[name], version)


def test_properties_come_in_any_order_and_unknown_ones_are_ignored() -> None:
    request = b' {"extra":{"protocol":[]},"version":1,"protocol":"json","type":1} '
    assert choose_protocol(request, PROTOCOLS, binary_allowed=True) == (PROTOCOLS["json"], 1)


def test_the_name_of_a_protocol_is_found_in_upper_and_lower_case() -> None:
    request = b'{"protocol":"MessagePack","version":1}'
    assert choose_protocol(request, PROTOCOLS, binary_allowed=True) == (PROTOCOLS["messagepack"], 1)


def test_text_is_spoken_where_only_text_travels() -> None:
    request = b'{"protocol":"json","version":1}'
    assert choose_protocol(request, PROTOCOLS, binary_allowed=False) == (PROTOCOLS["json"], 1)


@pytest.mark.parametrize(
    ("request_", "binary_allowed", "said"),
    [
        ('{"protocol":"xml","version":1}', True, "The protocol 'xml' is not supported."),
        ('{"protocol":"","version":1}', True, "The protocol '' is not supported."),
        ('{"protocol":"json","version":3}', True, "The server does not support version 3 of the 'json' protocol."),
        (
            '{"protocol":"messagepack","version":3}',
            False,
            "The server does not support version 3 of the 'messagepack' protocol.",
        ),
        (
            '{"protocol":"messagepack","version":1}',
            False,
            "Cannot use the 'messagepack' protocol on the current transport. "
            "The transport does not support 'Binary' transfer format.",
        ),
    ],
)
def test_what_is_not_supported_is_said(request_: str, binary_allowed: bool, said: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        choose_protocol(request_.encode(), PROTOCOLS, binary_allowed)
    assert str(caught.value) == said
    assert json.loads(refused(said).removesuffix(b"\x1e")) == {"error": said}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (b'{"version":1}', "Missing required property 'protocol'. Message content: {\"version\":1}"),
        (b'{"protocol":"json"}', 'Missing required property \'version\'. Message content: {"protocol":"json"}'),
        (
            b'{"protocol":"json","version":null}',
            'Missing required property \'version\'. Message content: {"protocol":"json","version":null}',
        ),
        (b"{}", "Missing required property 'protocol'. Message content: {}"),
        (b'{"Protocol":1}', "Missing required property 'protocol'. Message content: {\"Protocol\":1}"),
        (b'{"protocol":1,"version":1}', "Expected 'protocol' to be of type String."),
        (b'{"protocol":null,"version":1}', "Expected 'protocol' to be of type String."),
        (b'{"protocol":"json","version":"1"}', "Expected 'version' to be of type Number."),
        (b'{"protocol":"json","version":true}', "Expected 'version' to be of type Number."),
        (b'{"protocol":"json","version":1.5}', NO_INT),
        (b'{"protocol":"json","version":2147483648}', NO_INT),
        (b"[]", "Unexpected JSON Token Type 'Array'. Expected a JSON Object."),
        (b"null", "Unexpected JSON Token Type 'Null'. Expected a JSON Object."),
        (b"true", "Unexpected JSON Token Type 'True'. Expected a JSON Object."),
        (b"-1.5", "Unexpected JSON Token Type 'Number'. Expected a JSON Object."),
        (b'"x"', "Unexpected JSON Token Type 'String'. Expected a JSON Object."),
        (
            rb'{"protocol":"json\ud800","version":1}',
            "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.",
        ),
        (
            rb'{"protocol":"\udc00json","version":1}',
            "Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: '0xDC00'.",
        ),
    ],
)
def test_what_is_malformed_is_said(request_: bytes, said: str) -> None:
    with pytest.raises(InvalidDataError) as caught:
        choose_protocol(request_, PROTOCOLS, binary_allowed=True)
    assert str(caught.value) == said


@pytest.mark.parametrize("request_", [b"", b"nonsense", b'{"protocol":', b"\xff", b"[" * 20_000, b"\x91\x06"])
def test_what_is_no_json_is_a_protocol_error_and_nothing_worse(request_: bytes) -> None:
    with pytest.raises(InvalidDataError):
        choose_protocol(request_, PROTOCOLS, binary_allowed=True)


def test_half_of_a_character_matters_only_where_it_is_read() -> None:
    request = rb'{"x":"\ud800","protocol":"json","version":1}'
    assert choose_protocol(request, PROTOCOLS, binary_allowed=True)[1] == 1


def test_a_request_ends_at_the_separator_and_messages_may_follow_it() -> None:
    buffer = bytearray(b'{"protocol"')
    assert take_request(buffer) is None
    assert buffer == b'{"protocol"'
    buffer += b':"messagepack","version":1}\x1e\x02\x91\x06'
    assert take_request(buffer) == b'{"protocol":"messagepack","version":1}'
    assert buffer == b"\x02\x91\x06"


def test_the_answers_are_json_whatever_the_protocol() -> None:
    assert AGREED == b"{}\x1e"
    assert refused('no "x"') == b'{"error":"no \\"x\\""}\x1e'
