"""`sift import` as a person or a program runs it: what is in a file is stored, value by value."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sift_files import detect
from sift_server.data_dir import served_uri
from support.files import points_of, started

ROCKET = Path(__file__).parents[3] / "shared/data/rocket_flight_telemega.csv"
LIFTOFF = "2022-06-24T15:17:16.123456789Z"
LIFTOFF_NS = 1_656_083_836_123_456_789


@pytest.fixture
def write(tmp_path):
    def written(text, name="log.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def as_text(points):
    """Points, each once, by channel; NaN is itself."""
    return {
        name: sorted({(time_ns, repr(value)) for time_ns, value in found})
        for name, found in points.items()
    }


def values(points):
    """Without their times."""
    return {name: [value for _, value in found] for name, found in points.items()}


def expected(path, start_ns=0):
    """The points of a file."""
    return as_text(points_of(path, started(detect(path), start_ns)))


def test_a_real_flight_is_stored_value_by_value(served):
    """Each point of each column, in the run; once, however often it is sent."""
    command = ("import", ROCKET, "--asset", "rocket", "--run", "flight 1", "--yes",
               "--start-time", LIFTOFF, "--json")  # fmt: skip
    done = served.run(*command)
    assert done.exit_code == 0, done.stderr
    (one,) = json.loads(done.stdout)["files"]
    assert (one["rows"], one["points"], one["bad_cells"]) == (6234, 6234 * 81, 0)
    assert as_text(served.stored("rocket", "flight 1")) == expected(ROCKET, LIFTOFF_NS)
    assert served.run(*command).exit_code == 0
    assert as_text(served.stored("rocket")) == expected(ROCKET, LIFTOFF_NS)


def test_what_would_be_sent_is_shown_first(served, write):
    """Columns, types, units, times, first values; and nothing is sent."""
    path = write("time (ms),speed (m/s),state\n0,1.5,on\n5,2.5,off\n")
    done = served.run("import", path, "--asset", "shown", "--dry-run")
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["2", "speed", "(m/s)", "speed", "double", "m/s", "1.5,", "2.5"] in lines
    assert "relative milliseconds from a time to be given (--start-time)" in done.stdout
    done = served.run("import", path, "--asset", "shown", "--dry-run", "--json")
    (one,) = json.loads(done.stdout)["files"]
    assert one["rows"] == 2
    assert one["plan"]["tables"][0]["columns"][0]["unit"] == "m/s"


def test_nobody_is_asked_where_nobody_is(served, write):
    """A program says yes itself."""
    path = write("time_ns,x\n0,1\n")
    done = served.run("import", path, "--asset", "asked", "--start-time", LIFTOFF)
    assert done.exit_code == 2
    assert "--yes" in done.stderr


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_is_asked(served, write, answer):
    """Having seen what would be sent."""
    path = write("time,x\n1656083836,1\n")
    person, terminal = os.openpty()
    os.write(person, f"{answer}\n".encode())
    done = subprocess.run(
        [
            sys.executable, "-c", "from sift_server.commands import main; main()",
            "import", str(path), "--asset", f"asked {answer}", "--uri", served_uri(served.folder),
        ],
        env={**os.environ, "SIFT_API_KEY": served.server.api_key},
        stdin=terminal, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(person)
    os.close(terminal)
    assert "absolute unix seconds" in done.stderr
    assert f"Import into asset asked {answer}?" in done.stderr
    assert done.returncode == (0 if answer == "y" else 1), done.stderr
    assert ("nothing was sent" in done.stderr) == (answer == "n")


def test_options_correct_what_was_found(served, write):
    """Types, units, names, the time, and which columns."""
    path = write("a;b;c;d\n007;24.06.2022 17:17:16;1;x\n008;24.06.2022 17:17:17;2;y\n")
    done = served.run(
        "import", path, "--asset", "corrected", "--yes", "--time", "b", "--timezone",
        "Europe/Berlin", "--type", "a=int32", "--unit", "a=V", "--rename", "a=volts",
        "--only", "a", "--only", "d", "--flow", "box",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    stored = served.stored("corrected")
    assert values(stored) == {"volts": [7, 8], "d": ["x", "y"]}
    assert [time_ns for time_ns, _ in stored["volts"]] == [1656083836 * 10**9, 1656083837 * 10**9]


def test_a_plan_is_saved_corrected_and_used(served, write, tmp_path):
    """What options can't say."""
    path = write("time,state\n1656083836,boost\n1656083837,main\n")
    plan = tmp_path / "plan.yaml"
    done = served.run("import", path, "--asset", "planned", "--save-plan", plan)
    assert done.exit_code == 0
    text = plan.read_text()
    assert "data_type: string" in text
    plan.write_text(
        text.replace("data_type: string", "data_type: enum\n    enum: {boost: 3, main: 5}")
    )
    done = served.run("import", path, "--asset", "planned", "--plan", plan, "--yes")
    assert done.exit_code == 0, done.stderr
    assert values(served.stored("planned")) == {"state": ["boost", "main"]}
    plan.write_text("format: csv\n")
    done = served.run("import", path, "--asset", "planned", "--plan", plan, "--yes")
    assert done.exit_code == 2
    assert "plan needs 'tables'" in done.stderr


def test_cells_that_do_not_fit_are_the_users_choice(served, write):
    """Told with file, line and column before anything is sent; left out; or kept as text."""
    rows = [f"{1656083836 + at},{at}.5" for at in range(100)]
    rows[50] = "1656083886,ERR"
    rows[60] = "noon,1.5"
    path = write("time,speed\n" + "\n".join(rows))
    done = served.run("import", path, "--asset", "bad", "--yes")
    assert done.exit_code == 1
    assert "log.csv, line 52, column speed: 'ERR' is no number" in done.stderr
    assert "log.csv, line 62, column time: 'noon' is no time" in done.stderr
    assert "nothing was sent" in done.stderr
    done = served.run("import", path, "--asset", "bad", "--yes", "--on-error", "skip")
    assert done.exit_code == 0
    assert "line 52" in done.stderr
    assert "2 cells did not fit" in done.stdout
    assert len(served.stored("bad")["speed"]) == 98
    done = served.run("import", path, "--asset", "kept", "--yes", "--on-error", "text", "--json")
    assert json.loads(done.stdout)["files"][0]["bad_cells"] == 2
    stored = served.stored("kept")
    assert len(stored["speed"]) == 98
    assert stored["speed.text"] == [(1656083886 * 10**9, "ERR")]


def test_many_files_of_a_logger_are_one_flow(served, write):
    """Files with the same columns share it."""
    paths = [write(f"time,x\n{1656083836 + at},{at}\n", f"log_{at}.csv") for at in range(3)]
    done = served.run("import", *paths, "--asset", "many", "--yes")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 3
    assert values(served.stored("many")) == {"x": [0, 1, 2]}


@pytest.mark.parametrize(
    ("text", "options", "status", "words"),
    [
        ("time,x\n0,1\n", [], 2, "--start-time"),
        ("a,b\nx,y\n", [], 2, "--time"),
        ("time,x\n0,1\n", ["--time", "t"], 2, "there is no column 't'; there are 'time', 'x'"),
        ("time,x\n0,1\n", ["--type", "x=number"], 2, "no data type 'number'"),
        ("time,x\n0,1\n", ["--type", "x"], 2, "COLUMN=..."),
        ("time,x\n0,1\n", ["--time-format", "stardate"], 2, "no time format 'stardate'"),
        ("time,x\n0,1\n", ["--start-time", "soon"], 2, "not 'soon'"),
        (
            "time,x\n0,1\n",
            ["--timezone", "Mars", "--start-time", LIFTOFF],
            2,
            "no time zone 'Mars'",
        ),
        ("", [], 1, "is empty"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(served, write, text, options, status, words):
    """Without a traceback."""
    done = served.run("import", write(text), "--asset", "wrong", "--yes", *options)
    assert done.exit_code == status
    # A box of typer breaks lines.
    assert words in " ".join(done.stderr.replace("│", " ").split())


def test_a_file_that_is_not_there_is_told(served, tmp_path):
    """As is a folder."""
    done = served.run("import", tmp_path / "no.csv", "--asset", "wrong", "--yes")
    assert (done.exit_code, "can't be read" in done.stderr) == (1, True)
    done = served.run("import", tmp_path, "--asset", "wrong", "--yes")
    assert (done.exit_code, "is a folder" in done.stderr) == (1, True)


def test_an_import_that_is_broken_off_goes_on(served, write, caches):
    """Behind what was acknowledged, and nothing is there twice."""
    names = ",".join(f"c{at}" for at in range(20))
    rows = "".join(f"{at * 1000}" + ",123456789.25" * 20 + "\n" for at in range(200_000))
    path = write(f"time_ns,{names}\n{rows}")
    command = [
        sys.executable, "-c", "from sift_server.commands import main; main()",
        "import", str(path), "--asset", "long", "--start-time", LIFTOFF, "--yes", "--json",
        "--uri", served_uri(served.folder),
    ]  # fmt: skip
    environment = {**os.environ, "SIFT_API_KEY": served.server.api_key}
    first = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    due_s = time.monotonic() + 60
    while not list(caches.glob("sift/imports/*.json")):
        assert time.monotonic() < due_s
        time.sleep(0.01)
    first.send_signal(signal.SIGINT)
    _, words = first.communicate(timeout=60)
    assert first.returncode == 130
    assert "rows were acknowledged; the same command goes on" in words
    second = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    (one,) = json.loads(second.stdout)["files"]
    assert one["rows"] == 200_000
    assert 0 < one["rows_before"] < 200_000
    assert one["points"] == (200_000 - one["rows_before"]) * 20
    times = [time_ns for time_ns, _ in served.stored("long")["c19"]]
    assert times == [LIFTOFF_NS + at * 1000 for at in range(200_000)]
    assert not list(caches.glob("sift/imports/*.json"))


def test_a_folder_is_made(write, tmp_path):
    """Nobody has to start a server first."""
    path = write("time,x\n1656083836,1\n")
    done = subprocess.run(
        [
            sys.executable, "-c", "from sift_server.commands import main; main()",
            "import", str(path), "--asset", "new", "--yes", "--data-dir", str(tmp_path / "new"),
        ],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "1 row, 1 point" in done.stdout
    assert (tmp_path / "new" / "format").is_file()
