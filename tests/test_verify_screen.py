"""What `labkit verify` shows at a terminal while it runs."""

import pytest

from labkit.cli.verify_command import Shown
from labkit.console import err as console
from labkit.verify.report import Check, Result, Verdict


@pytest.mark.parametrize("count", [3, 17, 60])
@pytest.mark.parametrize("done", [0, 2, 30])
def test_the_list_of_checks_fits_the_terminal(count: int, done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A taller one could not be taken away again when the run is over."""
    done = min(done, count)
    monkeypatch.setattr(console, "_width", 80)
    monkeypatch.setattr(console, "_height", 24)
    title = "Check {} of some more than a terminal has room for in one line of eighty columns, at the most."
    checks = [Check(f"a1/{n}", title.format(n), "a1.1", 30) for n in range(count)]
    shown = Shown()
    shown.progress.collected(checks)
    for check in checks[:done]:
        shown.progress.finished(check, Result(Verdict.PASSED))
    shown.progress.working("Starting the app")
    with console.capture() as captured:
        console.print(shown._table())
    lines = captured.get().splitlines()
    assert len(lines) == min(count, 21) + 1
    assert max(map(len, lines)) <= 80
    assert "Starting the app" in lines[-1]
    if done < count:
        assert any(f"Check {done} of" in line for line in lines)
