"""`labkit grade`: a class's work is found, graded side by side, and told, whatever one of them does."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labkit.errors import MachineError, UsageError
from labkit.grading import archives, classes, crew, own_lines, staging, submissions
from labkit.grading.archives import Unreadable
from labkit.grading.grades import Grade, Outcome
from labkit.grading.limits import Limits
from labkit.grading.results import Results, default_folder
from labkit.lab import Exercise, Lab, find_lab
from labkit.verify.report import Verdict

Labkit = Callable[..., subprocess.CompletedProcess[str]]
Make = Callable[..., Path]

DRIVE = "C:\\evil.txt"
CHECKS = '''\
"""The bakery's checks, without a browser."""

import urllib.request

import pytest

from labkit.checking import NotDone


def page(instances) -> str:
    with urllib.request.urlopen(instances[0].url, timeout=100) as answer:
        return answer.read().decode()


@pytest.mark.task(1)
def test_the_shop_is_open(instances) -> None:
    """The shop has a door."""
    assert "Bakery" in page(instances)


@pytest.mark.task(2)
@pytest.mark.snippets("shelf")
def test_the_loaves_are_counted(instances) -> None:
    """The shelf says how many loaves are left."""
    if "Loaves: 3" not in page(instances):
        raise NotDone("Loaves: 3", "no loaves")


@pytest.mark.task(2)
@pytest.mark.snippets("till")
def test_a_loaf_has_a_price(instances) -> None:
    """The till says what a loaf costs."""
    if "coins" not in page(instances):
        raise NotDone("a price", "none")
'''


@pytest.fixture
def kiosk(bakery: Lab) -> Lab:
    """The small lab with checks that need no browser; its second task earns three points."""
    (bakery.exercises[0].checks / "test_bakery.py").write_text(CHECKS, "utf-8")
    settings = bakery.exercises[0].folder / "exercise.toml"
    settings.write_text("points = { 2 = 3 }\n" + settings.read_text("utf-8"), "utf-8")
    return find_lab(bakery.folder)


@pytest.fixture
def made(kiosk: Lab, tmp_path: Path) -> Make:
    """Makes the workspace of a trainee, with the lab's own begin or end, changed as wanted."""

    def make(name: str, state: str = "end", edit: tuple[str, str] = ("", ""), record: bool = True) -> Path:
        exercise = kiosk.exercises[0]
        folder = tmp_path / "class" / name / exercise.name
        folder.mkdir(parents=True)
        code = (exercise.solution(state) / "shop.py").read_text("utf-8")
        (folder / "shop.py").write_text(code.replace(*edit) if edit[0] else code, "utf-8")
        if record:
            (folder / "lab-workspace.toml").write_text(
                'schema = 1\nlab = "Bread"\nversion = "0.1.0"\nexercise = "b1-bakery"\nlabkit = "0.1.0"\n', "utf-8"
            )
        return folder

    return make


def zipped(folder: Path, file: Path, top: str = "") -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{top}{path.relative_to(folder).as_posix()}")
    return file


def found(lab: Lab, place: Path, scratch: Path, exercise: Exercise | None = None) -> list[tuple[str, str | None]]:
    """The names of the submissions, each with its exercise or with what is wrong with it."""
    return [(each.name, each.fault or each.exercise) for each in submissions.find(lab, [place], exercise, scratch)]


# Finding.


def test_work_is_found_in_folders_and_archives_whatever_lies_round_it(kiosk: Lab, made: Make, tmp_path: Path) -> None:
    class_ = made("alice").parent.parent
    zipped(made("bob"), class_ / "bob.zip", "b1-bakery-bob/")
    with tarfile.open(class_ / "carol.tar.gz", "w:gz") as archive:
        archive.add(made("carol"), "b1-bakery")
    # As learning platforms hand out: a folder for each, with the zip in it.
    (class_ / "Dora_123_file").mkdir()
    zipped(made("dora"), class_ / "Dora_123_file" / "work.zip", "mine/")
    for name in ("bob", "carol", "dora"):
        __import__("shutil").rmtree(class_ / name)
    (class_ / "eve").mkdir()
    (class_ / "frank").mkdir()
    (class_ / "frank" / "notes.txt").write_text("no lab\n")
    (class_ / "grete.zip").write_text("no zip\n")
    (class_ / "hugo.rar").write_text("Rar!\n")
    (class_ / "list.txt").write_text("alice\n")
    assert found(kiosk, class_, tmp_path / "scratch") == [
        ("alice", "b1"),
        ("bob", "b1"),
        ("carol", "b1"),
        ("Dora_123_file", "b1"),
        ("eve", "The folder is empty."),
        ("frank", "There is no workspace in it. If its record is lost, name the exercise with --exercise."),
        ("grete", "The archive is damaged: File is not a zip file."),
        ("hugo", "labkit does not read archives of this kind: hugo.rar. Ask for a zip."),
    ]


def test_one_zip_of_a_class_has_a_submission_for_each(kiosk: Lab, made: Make, tmp_path: Path) -> None:
    made("alice")
    class_ = made("bob").parent.parent
    assert found(kiosk, zipped(class_, tmp_path / "all.zip"), tmp_path / "scratch") == [("alice", "b1"), ("bob", "b1")]


def test_a_workspace_a_trainees_folder_and_a_zip_are_each_one_submission(
    kiosk: Lab, made: Make, tmp_path: Path
) -> None:
    mine = made("alice")
    (mine.parent / "holiday").mkdir()
    assert found(kiosk, mine, tmp_path / "1") == [("b1-bakery", "b1")]
    assert found(kiosk, mine.parent, tmp_path / "2") == [("alice", "b1")]
    assert found(kiosk, zipped(mine, tmp_path / "b1-alice.zip", "b1-alice/"), tmp_path / "3") == [("b1-alice", "b1")]
    assert found(kiosk, zipped(mine, tmp_path / "flat.zip"), tmp_path / "4") == [("flat", "b1")]


def test_work_without_its_record_is_found_by_the_exercise(kiosk: Lab, made: Make, tmp_path: Path) -> None:
    class_ = made("alice", record=False).parent.parent
    assert found(kiosk, class_, tmp_path / "scratch", kiosk.exercises[0]) == [("alice", "b1")]


def test_two_of_one_name_are_told_apart(kiosk: Lab, made: Make, tmp_path: Path) -> None:
    folder = made("alice")
    zipped(folder, folder.parent.parent / "alice.zip")
    names = found(kiosk, folder.parent.parent, tmp_path / "scratch")
    assert names == [("alice", "b1"), ("alice.zip", "b1")]


def test_a_place_that_is_not_there_is_named(kiosk: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no .*nowhere"):
        submissions.find(kiosk, [tmp_path / "nowhere"], None, tmp_path / "scratch")


def test_each_branch_of_a_repository_is_a_submission(kiosk: Lab, made: Make, tmp_path: Path) -> None:
    repository = tmp_path / "repository"

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
        subprocess.run(["git", *who, *arguments], cwd=repository, check=True, capture_output=True)

    repository.mkdir()
    git("init")
    (repository / "about.txt").write_text("A class.\n")
    git("add", "--all")
    git("commit", "-m", "nothing")
    for name in ("alice", "bob"):
        git("checkout", "-b", f"work/{name}", "main")
        (repository / "lab").mkdir()
        for path in made(name).iterdir():
            (repository / "lab" / path.name).write_bytes(path.read_bytes())
        git("add", "--all")
        git("commit", "-m", "work")
    git("checkout", "main")

    def names(pattern: str, scratch: Path) -> list[tuple[str, str | None]]:
        scratch.mkdir()
        some = submissions.find(kiosk, [repository], None, scratch, pattern)
        return [(each.name, each.fault or each.exercise) for each in some]

    assert names("work/*", tmp_path / "1") == [("work/alice", "b1"), ("work/bob", "b1")]
    assert names("*", tmp_path / "2")[0] == (
        "main",
        "There is no workspace in it. If its record is lost, name the exercise with --exercise.",
    )
    with pytest.raises(UsageError, match="has no branch “x”"):
        names("x", tmp_path / "3")


# Taking in.


def test_nothing_of_an_archive_is_written_outside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        for name in ("../evil.txt", "/evil.txt", "a/../../evil.txt", DRIVE, "good.txt"):
            archive.writestr(name, "x")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    deeds = archives.unpack(tmp_path / "slip.zip", tmp_path / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        "slip.zip",
        "out/good.txt",
    ]
    assert deeds == [
        "The archive has a file that would lie outside of it: ../evil.txt.",
        "The archive has a file that would lie outside of it: /evil.txt.",
        "The archive has a file that would lie outside of it: a/../../evil.txt.",
        f"The archive has a file that would lie outside of it: {zipfile.ZipInfo(DRIVE).filename}.",
        "link is a link that leads out, to /etc/passwd.",
    ]


def test_a_tar_writes_no_links_and_no_devices(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "odd.tar", "w") as archive:
        for kind, name, target in (
            (tarfile.SYMTYPE, "out", "../../../etc"),
            (tarfile.SYMTYPE, "in", "good.txt"),
            (tarfile.LNKTYPE, "hard", "/etc/shadow"),
            (tarfile.FIFOTYPE, "pipe", ""),
            (tarfile.CHRTYPE, "null", ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
        member = tarfile.TarInfo("good.txt")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"x\n"))
    deeds = archives.unpack(tmp_path / "odd.tar", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.txt"]
    assert deeds == ["out is a link that leads out, to ../../../etc.", "hard is a link that leads out, to /etc/shadow."]


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 3_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(50_000_000))
    with pytest.raises(Unreadable, match="more than 3 MB"):
        archives.unpack(tmp_path / "bomb.zip", tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 3_000_000


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.zip", b"PK\x03\x04 nothing"), ("a.tar", b"x" * 600), ("a.tar.gz", b"\x1f\x8bno"), ("a.zip", b"")],
)
def test_a_damaged_archive_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Unreadable, match=r"damaged|cannot be unpacked"):
        archives.unpack(tmp_path / name, tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="makes links and pipes")
def test_links_that_lead_out_and_pipes_are_left_and_named(made: Make, tmp_path: Path) -> None:
    work = made("alice")
    (tmp_path / "secret").write_text("secret\n")
    (work / "secret.py").symlink_to(tmp_path / "secret")
    (work / "all").symlink_to("/")
    (work / "same.py").symlink_to("shop.py")
    os.mkfifo(work / "pipe")
    (work / ".venv").mkdir()
    (work / ".venv" / "python").symlink_to("/usr/bin/python3")
    deeds = staging.stage(work, tmp_path / "staged")
    assert sorted(path.name for path in (tmp_path / "staged").iterdir()) == ["lab-workspace.toml", "same.py", "shop.py"]
    assert not any(path.is_symlink() for path in (tmp_path / "staged").iterdir())
    assert deeds == [
        "all is a link that leads out, to /.",
        "pipe is a pipe or a device.",
        f"secret.py is a link that leads out, to {tmp_path / 'secret'}.",
    ]


def test_only_lines_of_ones_own_make_work_the_same(kiosk: Lab, made: Make) -> None:
    exercise = kiosk.exercises[0]
    own = "# my idea\nmine = 1\nyours = mine + 1\nprint(yours)\n"
    anna = made("anna", "begin", ("import sys\n", own + "import sys\n"))
    boris = made("boris", "begin", ("import sys\n", "import sys\n" + own.replace(" = ", "  =  ")))
    assert own_lines.digest(exercise, made("end")) is None
    assert own_lines.digest(exercise, anna) == own_lines.digest(exercise, boris) is not None
    assert own_lines.digest(exercise, made("cleo", "end", ("import sys\n", own.upper()))) not in (
        None,
        own_lines.digest(exercise, anna),
    )


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root changes owners")
def test_a_repository_of_another_account_is_named_with_what_opens_it(
    kiosk: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # whatever this account trusts
    monkeypatch.delenv("SUDO_UID", raising=False)
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", repository], check=True, capture_output=True)
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 12345, 12345)
    with pytest.raises(UsageError) as caught:
        submissions.find(kiosk, [repository], None, tmp_path / "scratch", "work/*")
    assert caught.value.message == f"{repository} belongs to another account, and git does not open it."
    assert caught.value.next == f"git config --global --add safe.directory {repository}   (if you trust it)"


# Grading.


def grade_all(lab: Lab, place: Path, results: Results, limits: Limits | None = None, jobs: int = 2) -> list[Grade]:
    with results.writing():
        class_ = classes.gather(lab, [place], None, results)
        grades = list(class_.known)
        for one in crew.grade(lab, class_.orders, jobs, limits):
            results.put(one)
            grades.append(one)
    return sorted(grades, key=lambda each: each.name)


@pytest.mark.slow
def test_a_class_is_graded_and_what_has_not_changed_is_not_graded_again(kiosk: Lab, made: Make, tmp_path: Path) -> None:
    class_ = made("alice").parent.parent
    bob = made("bob", "begin")
    exercise, results = kiosk.exercises[0], Results(tmp_path / "grades")
    first = grade_all(kiosk, class_, results)
    assert [(each.name, each.passed, each.points(exercise), each.checks_passed) for each in first] == [
        ("alice", True, 4, (3, 3)),
        ("bob", False, 1, (1, 3)),
    ]
    assert results.all() == first
    (bob / "shop.py").write_text((exercise.end / "shop.py").read_text("utf-8"), "utf-8")
    alice, changed = grade_all(kiosk, class_, results)
    assert alice == first[0]
    assert (changed.name, changed.passed, changed.when > first[1].when) == ("bob", True, True)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="its app uses what POSIX has")
def test_what_one_submission_does_costs_the_others_nothing(kiosk: Lab, made: Make, tmp_path: Path) -> None:
    class_ = made("alice").parent.parent
    at = "import sys\n"
    made("forks", edit=(at, "import os, sys, time\nfor n in range(40):\n    os.fork() or time.sleep(100)\n"))
    made("hoards", edit=(at, "import sys, time\nhoard = bytearray(b'1') * 900_000_000\ntime.sleep(100)\n"))
    made("writes", edit=(at, "import sys, time\nopen('film', 'wb').write(bytes(30_000_000))\ntime.sleep(100)\n"))
    hang = "Shop.asked = getattr(Shop, 'asked', 0) + 1\n        Shop.asked > 1 and __import__('time').sleep(100)"
    made("waits", edit=("def do_GET(self):", f"def do_GET(self):\n        {hang}"))
    other = tmp_path / "grades" / "submissions" / "alice-b1" / "shop.py"
    tries = "import socket, sys\ntry:\n    {}\nexcept OSError:\n    pass\n"
    made("reads", edit=(at, tries.format(f"open({str(other)!r}).read()")))
    made("squats", edit=(at, tries.format("socket.socket().bind(('127.0.0.1', 8123))")))
    made("enters", edit=(at, tries.format("open('/proc/4194300/environ').read()")))
    fakes = made("fakes", "begin")
    (fakes / "conftest.py").write_text("def pytest_runtest_makereport(item, call):\n    call.excinfo = None\n", "utf-8")
    (fakes / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n", "utf-8")
    limits = Limits(seconds=60, memory=600_000_000, processes=30, disk=20_000_000)
    grades = {each.name: each for each in grade_all(kiosk, class_, Results(tmp_path / "grades"), limits)}
    assert {name: each.outcome for name, each in grades.items()} == {
        "alice": Outcome.VERIFIED,
        "enters": Outcome.STOPPED,
        "fakes": Outcome.VERIFIED,
        "forks": Outcome.STOPPED,
        "hoards": Outcome.STOPPED,
        "reads": Outcome.STOPPED,
        "squats": Outcome.STOPPED,
        "writes": Outcome.STOPPED,
        "waits": Outcome.STOPPED,
    }
    assert [name for name, each in grades.items() if each.passed] == ["alice"]
    assert {name: each.remark for name, each in grades.items() if each.remark} == {
        "enters": "The app tried to get into another process, /proc/4194300/environ.",
        "reads": f"The app tried to read the work of others, {other}.",
        "squats": "The app tried to take port 8123.",
        "forks": "The app started more than 30 processes, and was ended.",
        "hoards": "The app used more than 0.6 GB of memory, and was ended.",
        "writes": "The app wrote more than 20 MB to the disk, and was ended.",
        "waits": "It took longer than 60 s, and was ended.",
    }
    late = grades["waits"].report
    assert late is not None
    assert {result.verdict for _, result in late.results} <= {Verdict.TIMED_OUT, Verdict.NOT_DONE}


@pytest.mark.slow
def test_a_check_at_fault_counts_against_nobody_and_is_tried_twice(kiosk: Lab, made: Make, tmp_path: Path) -> None:
    class_ = made("alice").parent.parent
    checks = kiosk.exercises[0].checks / "test_bakery.py"
    checks.write_text(checks.read_text("utf-8").replace('assert "Bakery" in page(instances)', "undefined()"), "utf-8")
    grades = grade_all(kiosk, class_, Results(tmp_path / "grades"))
    assert [(each.outcome, each.attempts, each.fault) for each in grades] == [
        (Outcome.INTERNAL, 2, "A check is at fault.")
    ]


# The command.


@pytest.mark.slow
def test_the_command_tells_of_each_and_of_all(kiosk: Lab, made: Make, labkit: Labkit, tmp_path: Path) -> None:
    made("alice")
    made("bob", "begin")
    (tmp_path / "class" / "carol.zip").write_text("no zip\n")
    own = "# my idea\nmine = 1\nyours = mine + 1\nprint(yours)\nimport sys\n"
    made("dora", "end", ("import sys\n", own))
    made("emil", "end", ("import sys\n", own))
    done = labkit("grade", "class", "--lab", kiosk.folder, "--jobs", "2")
    assert done.returncode == 0
    assert re.sub(r"in \d+ s", "in N s", done.stdout) == (
        "Grading 5 submissions, 2 at a time. Grades: class-grades\n"
        "\n"
        "b1  Open a bakery\n"
        "          1  2  points  checks\n"
        "✓  alice  ✓  ✓     4/4     3/3\n"
        "✗  bob    ✓  ✗     1/4     1/3\n"
        "✓  dora   ✓  ✓     4/4     3/3\n"
        "✓  emil   ✓  ✓     4/4     3/3\n"
        "\n"
        "! carol: The archive is damaged: File is not a zip file.\n"
        "\n"
        "dora and emil have the same lines of their own. There may be good reasons: look at both before you conclude "
        "anything.\n"
        "\n"
        "5 submissions: 3 passed, 1 cannot be read, 1 not done; in N s.\n"
    )
    assert sorted(re.sub(r"  \d+ s", "", line) for line in done.stderr.splitlines()[1:]) == [
        "✓ alice  b1  3 of 3 checks",
        "✓ dora  b1  3 of 3 checks",
        "✓ emil  b1  3 of 3 checks",
        "✗ bob  b1  1 of 3 checks",
    ]
    again = labkit("grade", "class", "--lab", kiosk.folder, "--strict", "--format", "json")
    document = json.loads(again.stdout)
    assert again.returncode == 1
    assert [(each["name"], each["outcome"], each["points"]) for each in document["submissions"]] == [
        ("carol", "cannot be read", 0),
        ("alice", "verified", 4),
        ("bob", "verified", 1),
        ("dora", "verified", 4),
        ("emil", "verified", 4),
    ]
    assert document["identical"] == [["dora-b1", "emil-b1"]]


@pytest.mark.slow
def test_jobs_of_their_own_become_one_report(kiosk: Lab, made: Make, labkit: Labkit, tmp_path: Path) -> None:
    for name, state in (("alice", "end"), ("bob", "begin")):
        folder = made(name, state).parent
        done = labkit("grade", "--one", folder, "--out", f"grades/{name}.zip", "--lab", kiosk.folder)
        assert (done.returncode, (tmp_path / "grades" / f"{name}.zip").is_file()) == (0, True)
    done = labkit("grade", "--collect", "grades", "--report", "report", "--lab", kiosk.folder, "--strict")
    assert done.returncode == 1
    document = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert [(each["name"], each["points"]) for each in document["submissions"]] == [("alice", 4), ("bob", 1)]
    # The evidence has come along: the app's log is on the page.
    assert "instance-1.log" in (tmp_path / "report" / "trainees" / "bob-b1" / "index.html").read_text("utf-8")
    assert not (tmp_path / "class" / "alice-grades").exists()


# More than one machine.


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, as `dask scheduler` and `dask worker` start them: the address, and the workers."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    file = tmp_path / "scheduler.json"
    place = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard"]
    with (tmp_path / "cluster.log").open("wb") as log, contextlib.ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=tmp_path, stdout=log, stderr=log)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            return process

        start("distributed.cli.dask_scheduler", *place, "--port", "0")
        workers = [start("distributed.cli.dask_worker", *place, "--nthreads", "1", "--no-nanny") for _ in range(2)]
        until = time.monotonic() + 60
        while not file.is_file() and time.monotonic() < until:
            time.sleep(0.05)
        yield json.loads(file.read_text("utf-8"))["address"], workers


@pytest.mark.slow
def test_a_cluster_grades_each_once_also_if_a_worker_dies(
    kiosk: Lab, made: Make, cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    from labkit.grading import cluster as clusters

    address, workers = cluster
    for number in range(6):
        made(f"t{number}", "end" if number % 2 else "begin")
    results = Results(tmp_path / "grades")
    with results.writing():
        class_ = classes.gather(kiosk, [tmp_path / "class"], None, results)
        grades: list[Grade] = []
        for each in clusters.grade(kiosk, class_.orders, address=address):
            if not grades:
                workers[0].kill()
            grades.append(each)
    assert sorted((each.name, each.passed, each.checks_passed) for each in grades) == [
        (f"t{number}", bool(number % 2), (3, 3) if number % 2 else (1, 3)) for number in range(6)
    ]
    assert [(each.outcome, each.fault) for each in grades] == [(Outcome.VERIFIED, None)] * 6
    # Results and evidence are where those of this machine would be.
    assert sorted(each.key for each in results.all()) == [f"t{number}-b1" for number in range(6)]
    for each in grades:
        assert each.folder == results.staged(each.key)
        assert each.passed or each.report is not None
        assert each.passed or list((results.staged(each.key)).rglob("instance-1.log"))


def test_a_cluster_that_is_not_there_is_named(
    kiosk: Lab, made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labkit.grading import cluster as clusters

    monkeypatch.setattr(clusters, "PATIENCE", 0.5)
    made("alice")
    results = Results(tmp_path / "grades")
    with results.writing():
        class_ = classes.gather(kiosk, [tmp_path / "class"], None, results)
        with pytest.raises(MachineError, match=r"No cluster answers at tcp://127\.0\.0\.1:9"):
            next(clusters.grade(kiosk, class_.orders, address="tcp://127.0.0.1:9"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends the signals of POSIX")
@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_ctrl_c_twice_loses_no_grade_and_leaves_nothing_running(kiosk: Lab, made: Make, tmp_path: Path) -> None:
    made("alice")
    made("waits", edit=("def do_GET(self):", "def do_GET(self):\n        __import__('time').sleep(100)"))
    command = [sys.executable, "-m", "labkit", "grade", "class", "--lab", str(kiosk.folder), "--jobs", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        if line.startswith("✓ alice"):
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)  # somebody who has no patience
        else:
            seen.append(line)
    assert process.wait(60) == 130
    assert "Interrupted: 1 of 2 submissions are graded, and nothing of that is lost.\n" in seen
    assert [each.name for each in Results(tmp_path / "class-grades").all()] == ["alice"]
    assert _running_below(tmp_path) == []


def _running_below(folder: Path) -> list[str]:
    import psutil

    until = time.monotonic() + 10
    while True:
        found = []
        for process in psutil.process_iter():
            try:
                if str(folder) in " ".join(process.cmdline()) and process.pid != os.getpid():
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.05)


def test_results_are_named_after_the_place(tmp_path: Path) -> None:
    (tmp_path / "all.tar.gz").touch()
    (tmp_path / "spring").mkdir()
    assert [default_folder(tmp_path / name).name for name in ("all.tar.gz", "spring")] == [
        "all-grades",
        "spring-grades",
    ]


def test_a_folder_with_something_else_in_it_takes_no_results(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").touch()
    with pytest.raises(UsageError, match="has no results of labkit grade in it"), Results(tmp_path).writing():
        pass
