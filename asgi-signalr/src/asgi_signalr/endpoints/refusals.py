"""Refused requests, in the log: their clients are told little, and browsers show their users even less."""

import logging

from asgi_signalr.http import Refusal, Scope, path_of

logger = logging.getLogger("asgi_signalr")

# Clients choose some of the words, so there is an end to it.
MOST_ADVICE = 100
LONGEST = 200


class RefusalLog:
    """Notes each refusal for those who read at level DEBUG, and once what can be done about it for everybody."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def note(self, scope: Scope, refusal: Refusal) -> None:
        """Note a refused request, without its query: the secrets are there."""
        path, text = ascii(path_of(scope)[:LONGEST]), refusal.text.partition("\n")[0]
        logger.debug("%s %s is refused: %d %s", _method(scope), path, refusal.status, text)
        if refusal.advice and refusal.advice not in self._given and len(self._given) < MOST_ADVICE:
            self._given.add(refusal.advice)
            logger.warning("%s", refusal.advice)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["type"] == "http" else "WebSocket"
