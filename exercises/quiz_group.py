"""A small group of people who play the quiz: one in a browser, the others by the same requests that a browser sends.

Which option is right is learnt as people learn it: from the outcomes that the quiz has shown.
"""

import http.client
import json
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from quiz_pages import Figures, Player, PlayPage, new_name

from labkit.checking import PATIENCE, RunningInstance
from labkit.wire import Exchange, Wire

OUTCOMES = {b"true": "correct", b"false": "incorrect"}


@dataclass(frozen=True)
class Answer:
    """An answer that was given: `outcome` is correct, incorrect, or empty where the quiz did not say.

    `began` and `ended` are the times of its request and of its response, in seconds since 1970.
    """

    user: str
    instance: int
    outcome: str
    status: int | None
    began: float
    ended: float

    @property
    def is_accepted(self) -> bool:
        """Whether the quiz has taken it."""
        return self.status == 200 and bool(self.outcome)

    @property
    def spoken(self) -> str:
        """The answer, in words."""
        return f"{self.user}'s {self.outcome or 'unjudged'} answer on instance {self.instance}"


@dataclass
class Group:
    """Everybody who plays, what they have answered, and what they have learnt."""

    answers: list[Answer] = field(default_factory=list)
    rights: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Of each question the options that were tried, and whether they were right."""

    @property
    def is_stuck(self) -> bool:
        """Whether an answer was not taken: then nothing that follows says anything."""
        return any(not each.is_accepted for each in self.answers)

    def figures(self) -> Figures:
        """What a Statistics page should show after all of these answers."""
        outcomes = [each.outcome for each in self.answers if each.is_accepted]
        users = {each.user for each in self.answers if each.is_accepted}
        return Figures.of(outcomes.count("correct"), outcomes.count("incorrect"), len(users))

    def take(self, answer: Answer, question: str, option: str) -> Answer:
        """Remember an answer, and what it has taught."""
        self.answers.append(answer)
        if answer.is_accepted:
            self.rights.setdefault(question, {})[option] = answer.outcome == "correct"
        return answer

    def choose(self, question: str, options: Sequence[str], outcome: str) -> int:
        """The option that will probably be right, or wrong; a wrong one is not always the same."""
        known = self.rights.get(question, {})
        wanted = outcome == "correct"
        sure = [index for index, option in enumerate(options) if known.get(option) is wanted]
        left = [index for index, option in enumerate(options) if option not in known]
        if wanted:
            return (sure or left or [0])[0]
        return (sure or left or [0])[-1]


class Clicker:
    """The one who plays in the browser."""

    def __init__(self, group: Group, player: Player, play: PlayPage, instance: RunningInstance) -> None:
        self._group, self._player, self._play, self._instance = group, player, play, instance

    def answer(self, outcome: str | None = None) -> Answer:
        """Answer the question: the first option, or one that is right, or wrong, as far as the group knows."""
        question, options = self._play.question(), self._play.options()
        option = self._group.choose(question, options, outcome) if outcome else 0
        began = time.time()
        said, posted = self._play.answer(option)
        answer = Answer(
            self._player.name,
            self._instance.number,
            said,
            posted.status if posted else None,
            posted.began if posted else began,
            (posted.ended if posted else None) or time.time(),
        )
        return self._group.take(answer, question, options[option])


class Visitor:
    """One of the others: sends what the browser has sent, header by header, for another user."""

    def __init__(self, group: Group, browser: Wire, instance: RunningInstance, like: str) -> None:
        self.name = new_name()
        self.cookie = ""
        self._group, self._browser, self._instance, self._like = group, browser, instance, like
        self._question: dict[str, Any] = {}

    def register(self) -> "Visitor":
        """Register, as the browser's user has."""
        posted = self._sent("POST", "/account/register")
        form = [(key, self.name if value == self._like else value) for key, value in parse_qsl(posted.body.decode())]
        answer, _ = self._send(posted, urlencode(form).encode())
        cookies = answer.headers.get_all("Set-Cookie") or [] if answer else []
        self.cookie = "; ".join(each.partition(";")[0] for each in cookies)
        return self

    def at(self, instance: RunningInstance) -> "Visitor":
        """Play on another instance from now on."""
        self._instance = instance
        return self

    def ask(self) -> "Visitor":
        """Get the next question."""
        answer, body = self._send(self._sent("GET", "/api/trivia"))
        self._question = json.loads(body) if answer and answer.status == 200 else {}
        return self

    def answer(self, option: int | None = None, outcome: str = "") -> Answer:
        """Answer the question that was asked: with that option, or with one of that outcome as far as is known."""
        titles = [each["title"] for each in self._question.get("options", [])]
        title = str(self._question.get("title"))
        index = self._group.choose(title, titles, outcome) if option is None else option
        return self._group.take(self.attempt(index), title, titles[index] if titles else "")

    def attempt(self, index: int = 0) -> Answer:
        """Answer the question that was asked, of which the group learns nothing."""
        options = self._question.get("options", [])
        posted = self._sent("POST", "/api/trivia")
        began = time.time()
        body = {"questionId": self._question.get("id"), "optionId": options[index]["id"] if options else None}
        answer, said = self._send(posted, json.dumps(body, separators=(",", ":")).encode())
        return Answer(
            self.name,
            self._instance.number,
            OUTCOMES.get(said, ""),
            answer.status if answer else None,
            began,
            time.time(),
        )

    def _sent(self, method: str, path: str) -> Exchange:
        """The browser's own request of this kind."""
        return next(each for each in self._browser.exchanges if (each.method, each.path) == (method, path))

    def _send(self, like: Exchange, body: bytes = b"") -> tuple[http.client.HTTPResponse | None, bytes]:
        """Send a request that differs from the browser's in user, body and instance only."""
        there = like.header("host")
        here = urlsplit(self._instance.url).netloc
        lines = [f"{like.method} {like.target} HTTP/1.1"]
        for name, value in like.headers:
            if name.lower() == "cookie":
                if self.cookie:
                    lines.append(f"{name}: {self.cookie}")
            elif name.lower() == "content-length":
                lines.append(f"{name}: {len(body)}")
            else:
                lines.append(f"{name}: {value.replace(there, here)}")
        address = urlsplit(self._instance.url)
        try:
            with socket.create_connection((address.hostname or "", address.port or 80), timeout=PATIENCE) as connection:
                connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                answer = http.client.HTTPResponse(connection, method=like.method)
                answer.begin()
                return answer, answer.read()
        except (OSError, http.client.HTTPException):
            return None, b""


def together(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all of this at the same moment."""
    with ThreadPoolExecutor(max(len(works), 1)) as pool:
        return [each.result() for each in [pool.submit(work) for work in works]]
