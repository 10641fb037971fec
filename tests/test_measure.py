"""`labkit measure`: what is measured, drawn and said, of a lab that was never seen before; and once of this one."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labkit.cli.measure_command import _numbers
from labkit.errors import UsageError
from labkit.lab import Kind
from labkit.measuring import Measured, Plan, chart, quantile, run, summed

POURING = Kind("pouring", "Pouring", 20, by_clients=False)
SIPPING = Kind("sipping", "Sipping", 5, by_clients=True)


def measured(
    kind: Kind, instances: int, arrived: float, median: float | None = 0.002, late: float | None = 0.004
) -> Measured:
    return Measured(kind, instances, kind.wanted(3 * instances), arrived, median, late, 0.5)


FIGURES = [
    measured(POURING, 1, 20.0),
    measured(SIPPING, 1, 15.0),
    measured(POURING, 2, 20.0),
    measured(SIPPING, 2, 10.0, median=0.8, late=1.6),
]


def test_a_message_counts_once_however_many_clients_hear_it() -> None:
    plan = Plan((1, 2), clients=3, seconds=2.0)
    delays = [number / 1000 for number in range(1, 101)]
    assert summed(SIPPING, 2, plan, heard=[90, 90], delays=delays, busy=0.25) == Measured(
        SIPPING, 2, wanted=30, arrived=15.0, median=0.051, late=0.1, busy=0.25
    )
    assert summed(POURING, 2, plan, heard=[0, 0], delays=[], busy=0.25) == Measured(
        POURING, 2, wanted=20, arrived=0.0, median=None, late=None, busy=0.25
    )


def test_the_figures_are_the_same_for_programs() -> None:
    assert measured(SIPPING, 2, 10.04, median=0.0123456, late=None).to_json() == {
        **{"kind": "sipping", "title": "Sipping", "instances": 2, "wanted_per_s": 30, "arrived_per_s": 10.0},
        **{"median_ms": 12.35, "p99_ms": None, "busy": 0.5},
    }


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_a_quantile_is_one_of_the_values(share: float, value: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == value


@pytest.mark.parametrize(
    ("value", "drawn"), [(0, ""), (0.001, "▏"), (1, "█▎"), (5, "██████▎"), (8, "█" * 10), (9, "█" * 10)]
)
def test_a_bar_is_as_long_as_its_share(value: float, drawn: str) -> None:
    assert chart.bar(value, 8, 10) == drawn


def test_times_have_the_digits_that_say_something() -> None:
    assert [chart.time(each) for each in (0.00123, 0.00996, 0.0126, 1.2, None)] == [
        *("1.2 ms", "10 ms", "13 ms", "1.2 s", "-"),
    ]


def test_figures_are_drawn_kind_by_kind_with_ever_more_instances() -> None:
    assert [[(each.kind.name, each.instances) for each in panel] for panel in chart.by_kind(FIGURES)] == [
        [("pouring", 1), ("pouring", 2)],
        [("sipping", 1), ("sipping", 2)],
    ]


def test_the_chart_reads_in_light_and_dark_and_says_every_figure() -> None:
    drawn = chart.svg("Tea & scones", ["3 clients at each instance."], FIGURES)
    root = ElementTree.fromstring(drawn)
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "Tea & scones"
    assert texts[-1] == "3 clients at each instance."
    assert {"Pouring", "Sipping", "20 / 20", "15 / 15", "10 / 30", "2.0 ms, 4.0 ms", "800 ms, 1.6 s"} < set(texts)
    assert "prefers-color-scheme: dark" in drawn
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    for each in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(each.get("x", 0)) + float(each.attrib["width"]) <= width
        assert float(each.get("y", 0)) + float(each.attrib["height"]) <= height


def test_a_list_of_numbers_is_read_in_any_order() -> None:
    assert _numbers("4, 1,2,2") == (1, 2, 4)
    assert _numbers(None) == ()
    for text in ("", "0", "21", "two", "1,,2", "-1"):
        with pytest.raises(UsageError, match="is no list of numbers"):
            _numbers(text)


# The whole command, with a lab of its own: pots that clients pour from over HTTP.

POT = """\
import http.server, os, sys

class Pot(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/break":
            print("the pot broke", flush=True)
            os._exit(5)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"tea")
    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Pot).serve_forever()
"""

DRINKERS = """\
import json, sys, time, urllib.request

answers = {"connect": {}, "hear": {"heard": True}}
for line in sys.stdin:
    order = json.loads(line)
    if order["do"] == "connect":
        clients, url = order["clients"], order["url"]
    if order["do"] == "measure":
        time.sleep(max(order["counts"] - time.perf_counter(), 0))
        delays = []
        while time.perf_counter() < order["ends"]:
            before = time.perf_counter()
            assert urllib.request.urlopen(url).read() == b"tea"
            delays += [time.perf_counter() - before] * clients
            time.sleep(1 / order["rate"])
        answers["measure"] = {"heard": len(delays), "delays": delays}
    print(json.dumps(answers[order["do"]]), flush=True)
"""

BREAKERS = """\
import http.client, json, sys, time, urllib.request

for line in sys.stdin:
    order = json.loads(line)
    if order["do"] == "connect":
        url = order["url"]
    if order["do"] == "measure":
        try:
            urllib.request.urlopen(url + "/break")
        except (OSError, http.client.HTTPException):
            time.sleep(60)
    print(json.dumps({"heard": True}), flush=True)
"""

Measure = Callable[..., tuple[int, str, str]]


@pytest.fixture
def measure(
    tmp_path: Path,
    write_files: Callable[[Path, dict[str, str]], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Measure:
    """Runs `labkit measure a1 --solution end` of a lab with these clients and this pot."""
    from labkit.cli import run as run_command

    monkeypatch.setattr(run, "RUNNING_UP", 0.0)
    monkeypatch.setattr(run, "HEARING", 0.1)

    def call(*arguments: str, drinkers: str = DRINKERS, pot: str = POT, measured: bool = True) -> tuple[int, str, str]:
        table = (
            '[measure]\ncommand = ["{python}", "-m", "pot", "{port}"]\nclients = ["{python}", "-m", "drinkers"]\n'
            'instances = [2]\n[[measure.kind]]\nname = "sipping"\ntitle = "Sipping"\nrate = 50\nsender = "client"\n'
        )
        lab = write_files(
            tmp_path / "tea",
            {
                "lab.toml": 'title = "Tea"\nexercises = ["a1-brew"]\n',
                "exercises/a1-brew/README.md": "# Brew a pot of tea\n",
                "exercises/a1-brew/exercise.toml": (
                    '[app]\ncommand = ["{python}", "app.py", "{port}"]\nready = "/"\n' + (table if measured else "")
                ),
                "exercises/a1-brew/end/app.py": "",
                "exercises/a1-brew/measure/pot.py": pot,
                "exercises/a1-brew/measure/drinkers.py": drinkers,
            },
        )
        monkeypatch.setenv("LABKIT_LAB", str(lab))
        common = ("measure", "a1", "--solution", "end", "--clients", "3", "--seconds", "0.5")
        code = run_command([*common, *arguments])
        return code, *capsys.readouterr()

    return call


def test_another_lab_is_measured_and_every_figure_told(measure: Measure, tmp_path: Path) -> None:
    code, out, err = measure("--format", "json", "--svg", str(tmp_path / "tea.svg"))
    assert code == 0, err
    told = json.loads(out)
    (figure,) = told.pop("measured")
    assert told.pop("processors") > 0
    assert told == {
        **{"schema": 1, "exercise": "a1", "solution": "end", "backplane": None, "clients_per_instance": 3},
        **{"seconds": 0.5, "svg": str(tmp_path / "tea.svg")},
    }
    assert (figure["kind"], figure["title"], figure["instances"], figure["wanted_per_s"]) == (
        *("sipping", "Sipping", 2, 300),
    )
    assert figure["arrived_per_s"] > 0 < figure["median_ms"] <= figure["p99_ms"]
    assert "Sipping" in (tmp_path / "tea.svg").read_text(encoding="utf-8")


@pytest.mark.slow
def test_without_a_terminal_each_figure_is_a_line(measure: Measure) -> None:
    code, out, err = measure()
    assert code == 0, err
    first, figure, clients, machine, *_ = out.splitlines()
    assert first.startswith("Measuring Brew a pot of tea: the lab's own end, in ")
    assert figure.startswith("Sipping, instances: 2; messages a second: ")
    assert clients == "3 clients at each instance, 0.5 s for each figure, with nothing that joins them."
    assert machine.startswith("All of it shared this machine: ")


def test_clients_that_end_are_the_labs_fault(measure: Measure) -> None:
    code, _, err = measure(drinkers="raise SystemExit('the tea is cold')")
    assert code == 4
    assert "The lab's clients have ended. Their last lines:\n    the tea is cold" in err


@pytest.mark.slow
def test_what_clients_could_not_do_is_said(measure: Measure) -> None:
    code, _, err = measure(drinkers='input()\nprint(\'{"error": "no cup"}\', flush=True)\ninput()')
    assert code == 1
    assert "The clients could not go on: no cup" in err


@pytest.mark.slow
def test_an_instance_that_ends_is_named_with_its_last_lines(measure: Measure) -> None:
    code, _, err = measure(drinkers=BREAKERS)
    assert code == 1
    assert "has ended while it was measured. Its last lines:\n    the pot broke" in err


@pytest.mark.slow
def test_instances_that_nothing_joins_are_said(measure: Measure) -> None:
    deaf = DRINKERS.replace("print(json", 'answers["hear"] = {"heard": order.get("sends")}\n    print(json')
    code, _, err = measure(drinkers=deaf)
    assert code == 1
    assert "The clients of instance 2 do not hear what is said at instance 1: nothing joins the instances." in err


def test_an_exercise_without_a_measurement_says_so(measure: Measure) -> None:
    code, _, err = measure(measured=False)
    assert (code, err.splitlines()[0]) == (2, "a1 has nothing that could be measured.")


def test_a_chart_that_cannot_be_written_is_refused_before_anything_runs(measure: Measure, tmp_path: Path) -> None:
    code, out, err = measure("--svg", str(tmp_path / "none" / "chart.svg"))
    assert (code, out) == (2, "")
    assert "cannot be a file" in err


@pytest.mark.slow
def test_this_labs_end_is_measured_with_its_backplane() -> None:
    short = ("--solution", "end", "--instances", "2", "--clients", "2", "--seconds", "2", "--format", "json")
    ran = subprocess.run(
        [sys.executable, "-m", "labkit", "measure", "ex2", *short], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["backplane"] == "postgres"
    found = [(each["kind"], each["instances"], each["wanted_per_s"]) for each in told["measured"]]
    assert found == [
        *(("broadcast", 2, 20), ("client-to-client", 2, 4), ("high-frequency", 2, 100)),
    ]
    assert all(each["arrived_per_s"] > 0 and each["median_ms"] > 0 for each in told["measured"])
