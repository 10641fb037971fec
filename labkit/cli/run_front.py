"""What `labkit run --balancer` has in front of the instances: one address for them, and keys that kill one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from labkit import balancer, forwarding
from labkit.absences import Absences
from labkit.balancer import Balancer
from labkit.console import working
from labkit.instances import Instances
from labkit.language import marked

_SERVES, _AWAY = marked("serves", "is away")


class Front:
    """The balancer in front of the instances, some of which are killed and return.

    Args:
        proxy: the balancer.
        home: the path of the page where one sees the app.
        rolling: seconds after which one instance after the other is killed; None leaves them alone.

    """

    def __init__(self, proxy: Balancer, home: str, rolling: float | None) -> None:
        self.page = forwarding.page(proxy.url + home)
        self._proxy = proxy
        self._rolling = rolling
        self._absences: Absences | None = None
        self._of: Instances | None = None
        self._typed: str | None = None

    def states(self, instances: Instances) -> list[str]:
        """What each instance does now."""
        away = self._absences.away if self._absences else []
        return [_AWAY if each.number in away else _SERVES for each in instances.list]

    def look(self, instances: Instances | None, tell: Callable[[int, str], None]) -> None:
        """Do what is due, and tell of it. Raises LabError if an instance does not start again."""
        for request in self._proxy.requests():
            if request.is_page:
                status = f" ({request.status})" if request.status != 200 else ""
                tell(request.instance, f"served {request.path}{status}")
        if instances is None:
            return
        if self._of is not instances:  # all of them are new
            self._of, self._absences = instances, Absences(instances, tell, self._rolling)
        if self._absences:
            self._absences.look()

    def press(self, instances: Instances | None, key: str | None) -> None:
        """Take a key, if it is one of `k` and a number, and kill that instance once the number is whole."""
        if key is None or instances is None or self._absences is None:
            return
        if key == "k":
            self._typed = ""
        elif self._typed is not None:
            typed, count = self._typed + key, len(instances.list)
            number = int(typed) if typed.strip().isdecimal() else 0
            is_whole = key in "\r\n " or not number or number * 10 > count
            self._typed = None if is_whole else typed
            if is_whole and 1 <= number <= count:
                self._absences.kill(number)


@contextmanager
def opened(
    ports: Sequence[int], home: str, folder: Path, *, port: int | None, rolling: float | None
) -> Iterator[Front]:
    """Run a balancer for the instances at these ports, with its files in `folder`, until the end of the block."""
    with ExitStack() as stack:
        with working("Starting the load balancer"):
            proxy = stack.enter_context(balancer.running(ports, folder, port=port))
        yield Front(proxy, home, rolling)
