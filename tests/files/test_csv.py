"""CSV files as they come: what is in them is found out, and no value is lost or changed."""

from __future__ import annotations

import bz2
import csv
import dataclasses
import gzip
import lzma
import math
import zipfile
from pathlib import Path

import pytest

from sift_files import (
    BadCellError,
    Corrections,
    DataType,
    Hints,
    OnError,
    PlanError,
    TimeFormat,
    UnreadableFileError,
    corrected,
    detect,
    read,
)
from sift_files.csv import blocks
from sift_files.csv import detect as detecting
from support.files import points_of, started, types_of

ROCKET = Path(__file__).parents[2] / "../shared/data/rocket_flight_telemega.csv"
SECOND = 10**9


@pytest.fixture
def write(tmp_path):
    def written(text: str | bytes, name: str = "log.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return written


def column(values, header="x"):
    """A file with a column of values, a second apart."""
    return f"time,{header}\n" + "".join(f"{at},{value}\n" for at, value in enumerate(values))


def values(path, channel="x", **more):
    return [value for _, value in points_of(path, **more).get(channel, [])]


@pytest.mark.parametrize(
    ("cells", "data_type", "expected"),
    [
        (["1", "-2", "+3"], "int64", [1, -2, 3]),
        (["9007199254740993", "1"], "int64", [9007199254740993, 1]),
        (["18446744073709551615", "1"], "uint64", [18446744073709551615, 1]),
        (["18446744073709551616", "1"], "string", ["18446744073709551616", "1"]),
        (["18446744073709551615", "-1"], "string", ["18446744073709551615", "-1"]),
        (["1", "2.5"], "double", [1.0, 2.5]),
        (["9007199254740993", "2.5"], "string", ["9007199254740993", "2.5"]),
        ([".5", "5.", "1e3", "-1E-3"], "double", [0.5, 5.0, 1000.0, -0.001]),
        (["inf", "-Infinity", "1.5"], "double", [math.inf, -math.inf, 1.5]),
        (["007", "008"], "string", ["007", "008"]),
        (["0", "10"], "int64", [0, 10]),
        (["0x1F", "0xFFFFFFFFFFFFFFFF"], "uint64", [31, 2**64 - 1]),
        (["0x1F", "1.5"], "string", ["0x1F", "1.5"]),
        (["true", "FALSE", "True"], "bool", [True, False, True]),
        (["true", "7"], "string", ["true", "7"]),
        (["on", "off"], "string", ["on", "off"]),
        (["1", "", "3"], "int64", [1, 3]),
        (["1", "N/A", "3"], "int64", [1, 3]),
        (["1.5", "null", "   ", "3"], "double", [1.5, 3.0]),
        (["a", "N/A"], "string", ["a", "N/A"]),
        (["2022-06-24", "x"], "string", ["2022-06-24", "x"]),
        (['"a,b"', '"c\nd"', '"e""f"', '""'], "string", ["a,b", "c\nd", 'e"f', ""]),
        ([" a", "b "], "string", [" a", "b "]),
        (["ü", "日本"], "string", ["ü", "日本"]),
    ],
)
def test_types_keep_every_value(write, cells, data_type, expected):
    """A type is taken only if all values are the same in it."""
    path = write(column(cells))
    plan = detect(path)
    assert types_of(plan) == {"x": data_type}
    assert plan.rows == len(cells)
    assert not plan.bad_count
    assert values(path) == expected


def test_no_number_is_a_value(write):
    """NaN is sent as it is, and an empty cell is no point."""
    path = write(column(["1.5", "NaN", "", "nan"]))
    first, second, third = values(path)
    assert first == 1.5
    assert math.isnan(second)
    assert math.isnan(third)


@pytest.mark.parametrize(
    ("late", "data_type"),
    [
        ("2.5", "double"),
        ("18446744073709551615", "uint64"),
        ("99999999999999999999", "string"),
        ("0x10", "int64"),
    ],
)
def test_types_fit_the_last_row_too(write, late, data_type):
    """All of a file is looked at."""
    path = write(column([*map(str, range(1, 100_000)), late]))
    assert path.stat().st_size > 2 * detecting.FIRST_BLOCK_BYTES
    assert types_of(detect(path)) == {"x": data_type}
    assert str(values(path)[-1]) == str(int(late, 16) if late == "0x10" else late)


def test_whole_numbers_among_fractions_are_exact_or_text(write):
    """However late a number comes that a double does not hold."""
    path = write(column([*(f"{at}.5" for at in range(100_000)), "9007199254740993"]))
    plan = detect(path)
    assert types_of(plan) == {"x": "string"}
    assert any("double can't hold" in note for note in plan.notes)
    path = write(column([*(f"{at}.5" for at in range(100_000)), "9007199254740992"]))
    assert types_of(detect(path)) == {"x": "double"}


def test_a_few_cells_that_do_not_fit_are_mistakes_of_the_file(write):
    """They are told with line and column before anything is sent, and the user chooses."""
    cells = [str(at / 2) for at in range(1000)]
    cells[700] = "ERR 7"
    path = write(column(cells))
    plan = detect(path)
    assert types_of(plan) == {"x": "double"}
    (bad,) = plan.bad_cells
    assert str(bad) == "log.csv, line 702, column x: 'ERR 7' is no number that a double holds"
    with pytest.raises(BadCellError, match="line 702, column x: 'ERR 7'"):
        points_of(path)
    assert len(values(path, on_error=OnError.SKIP)) == 999
    kept = points_of(path, on_error=OnError.TEXT)
    assert len(kept["x"]) == 999
    assert kept["x.text"] == [(700 * SECOND, "ERR 7")]


def test_many_are_text(write):
    """Nothing is thrown away."""
    path = write(column(["1", "2", "x", "y", "5"]))
    assert types_of(detect(path)) == {"x": "string"}
    assert values(path) == ["1", "2", "x", "y", "5"]


def test_uneven_rows_and_bad_times_are_told(write):
    """Each with its line, behind newlines in cells and blank lines, too."""
    text = 'time,x,y\n0,1,"a\nb"\n\n1,2\nnoon,3,c\n,4,d\n2,5,e,f\n3,6,g\n'
    path = write(text)
    plan = started(dataclasses.replace(detect(path)))
    cells = []
    batches = list(read(path, plan, on_error=OnError.SKIP, on_bad_cell=cells.append))
    assert [(cell.line, cell.column, cell.value) for cell in cells] == [
        (5, "", "1,2"),
        (6, "time", "noon"),
        (7, "time", ""),
        (8, "", "2,5,e,f"),
    ]
    assert [cell.is_row for cell in cells] == [True, False, False, True]
    assert batches[0].rows_read == 6
    assert batches[0].columns["x"].to_pylist() == [1, 6]
    with pytest.raises(BadCellError, match="line 5: '1,2' has 2 cells, and 3 were expected"):
        list(read(path, plan))


def test_names_units_and_duplicates(write):
    """Units are taken from the header, or from a line below it."""
    path = write("time (ms),speed (m/s),speed (m/s),,a b [°C]\n0,1,2,3,4\n5,1,2,3,4\n")
    (table,) = detect(path).tables
    assert [(one.channel, one.unit) for one in table.columns] == [
        ("speed", "m/s"),
        ("speed_2", "m/s"),
        ("column_4", ""),
        ("a b", "°C"),
    ]
    assert table.time.format is TimeFormat.RELATIVE_MILLISECONDS
    assert points_of(path)["speed_2"] == [(0, 2), (5_000_000, 2)]
    path = write("time,speed\ns,m/s\n0,1\n5,2\n")
    (table,) = detect(path).tables
    assert [(one.channel, one.unit) for one in table.columns] == [("speed", "m/s")]
    assert points_of(path)["speed"] == [(0, 1), (5 * SECOND, 2)]


def test_heads_are_found(write):
    """Comments before, a delimiter at the end of rows, no header at all."""
    path = write("# made by a logger\n# on a Monday\ntime;speed\n0;1,5\n1;2,5\n")
    plan = detect(path)
    assert plan.csv.decimal == ","
    assert plan.csv.first_row == 4
    assert points_of(path)["speed"] == [(0, 1.5), (SECOND, 2.5)]
    path = write("time,speed\n0,1,\n1,2,\n")
    assert points_of(path)["speed"] == [(0, 1), (SECOND, 2)]
    path = write("2022-06-24T15:17:16Z,1\n2022-06-24T15:17:17Z,2\n")
    assert [value for _, value in points_of(path)["column_2"]] == [1, 2]
    path = write("time\tspeed\n0\t1\n")
    assert points_of(path)["speed"] == [(0, 1)]
    path = write("Report,,,\nDate,2022-06-24,,\n,,,\ntime,speed,note,x\n0,1,a,5\n1,2,b,5\n")
    assert points_of(path)["speed"] == [(0, 1), (SECOND, 2)]


def test_headers_of_two_lines_are_put_together(write):
    """Groups above names with units; but not where the second line has units alone."""
    for groups in ("Time,Engine,Engine,Tank", "Time,Engine,,Tank"):
        path = write(f"{groups}\ns,P (bar),T [°C],P (bar)\n0,1,2,3\n5,1,2,3\n")
        (table,) = detect(path).tables
        assert [(one.channel, one.unit) for one in table.columns] == [
            ("Engine P", "bar"),
            ("Engine T", "°C"),
            ("Tank P", "bar"),
        ]
        assert points_of(path)["Tank P"] == [(0, 3), (5 * SECOND, 3)]
    path = write("time,p,t\n[s],bar (abs),(°C)\n0,1,2\n5,1,2\n")
    (table,) = detect(path).tables
    assert [(one.channel, one.unit) for one in table.columns] == [("p", "bar (abs)"), ("t", "°C")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings(write, encoding):
    """With and without a mark."""
    path = write(column(["1", "2"], "Temperatur (°C)").encode(encoding))
    plan = detect(path)
    assert plan.tables[0].columns[0].unit == "°C"
    assert values(path, "Temperatur") == [1, 2]


def test_bytes_that_are_no_text_are_told(write):
    """With their line; the rest is there."""
    data = column([f"text {at}" for at in range(200_000)]).encode()
    path = write(data.replace(b"text 150000", b"t\xffxt 150000"))
    plan = detect(path)
    (bad,) = plan.bad_cells
    assert bad.line == 150_002
    assert "no text in UTF-8 (--encoding)" in bad.reason
    assert len(values(path, on_error=OnError.SKIP)) == 199_999


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files(write, pack):
    """As they are; one that is cut off is told."""
    packed = pack(column(range(50_000)).encode())
    path = write(packed, "log.csv.gz")
    assert values(path) == list(range(50_000))
    path = write(packed[: len(packed) // 2], "log.csv.gz")
    with pytest.raises(UnreadableFileError, match="damaged or cut off"):
        points_of(path)


def test_times_of_two_columns(write):
    """A date, and a time of day."""
    path = write("date,time,x\n2022-06-24,15:17:16.5,1\n2022-06-25,00:00:00,2\n")
    (table,) = detect(path).tables
    assert table.time.columns == ("1", "2")
    assert points_of(path)["x"] == [(1656083836_500_000_000, 1), (1656115200_000_000_000, 2)]


def test_times_of_two_columns_in_german(write):
    """Under German names, with a comma before the fraction."""
    path = write("Datum;Uhrzeit;Druck\n24.06.2022;15:17:16,5;1,5\n24.06.2022;15:17:17,25;2,5\n")
    (table,) = detect(path).tables
    assert table.time.columns == ("1", "2")
    assert points_of(path)["Druck"] == [
        (1656083836_500_000_000, 1.5),
        (1656083837_250_000_000, 2.5),
    ]


def test_times_that_stand_still_are_told(write):
    """As they do where only a date is known of each row."""
    path = write("date,x\n" + "2022-06-24,1\n" * 10)
    assert any("9 times are the same as the one before" in note for note in detect(path).notes)
    path = write("time,x\n0,1\n0,2\n1,3\n2,4\n")
    assert not any("same" in note for note in detect(path).notes)


def test_times_that_fall_are_told(write):
    """They are taken as they are."""
    path = write("time,x\n5,1\n4,2\n4,3\n6,4\n")
    assert "1 times are earlier than the one before" in detect(path).notes
    assert [time // SECOND for time, _ in points_of(path)["x"]] == [5, 4, 4, 6]


def test_what_lacks_times_is_told(write):
    """The user names the column."""
    path = write("a,b\n3,2\n1,4\n")
    plan = detect(path)
    assert plan.tables[0].time is None
    assert any("--time" in note for note in plan.notes)
    with pytest.raises(PlanError, match="--time"):
        list(read(path, plan))
    path = write("clock,x\n12:00:01,1\n12:00:02,2\n")
    assert any("'clock' has times of day without a date" in note for note in detect(path).notes)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n\n \n", "is empty"),
        (b"\x7fELF\0\0\0\1", "zero bytes"),
    ],
)
def test_what_is_no_csv_file_is_told(write, data, words):
    """In words."""
    with pytest.raises(UnreadableFileError, match=words):
        detect(write(data))


def test_workbooks_are_told(write, tmp_path):
    """They are often called `.csv`, or taken for it."""
    for name, inside, words in [
        ("log.csv", "xl/workbook.xml", "is an Excel workbook"),
        ("logs.zip", "log.csv", "is a ZIP archive: unpack it"),
    ]:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(inside, "0")
        with pytest.raises(UnreadableFileError, match=words):
            detect(tmp_path / name)
    with pytest.raises(UnreadableFileError, match="ZIP archive, or a workbook that is damaged"):
        detect(write(b"PK\x03\x04" + b"\0" * 100))
    with pytest.raises(UnreadableFileError, match="is an Excel workbook"):
        detect(write(bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600))


def test_folders_and_other_formats_are_told(write, tmp_path):
    """By what is in them, not by their names."""
    with pytest.raises(UnreadableFileError, match="is a folder"):
        detect(tmp_path)
    with pytest.raises(UnreadableFileError, match="is no parquet file, as its name says"):
        detect(write("time,x\n1,2\n", "log.parquet"))


def test_a_file_with_a_header_alone_has_no_rows(write):
    """And no mistakes."""
    path = write("time,x,y\n")
    plan = detect(path)
    assert plan.rows == 0
    assert "there are no rows" in plan.notes


def test_columns_without_values_are_left_out(write):
    """They are shown, and can be wanted."""
    path = write("time,x,y\n0,1,\n1,2,\n")
    plan = detect(path)
    assert [one.channel for one in plan.tables[0].wanted] == ["x"]
    assert "columns without values are left out: y" in plan.notes


def test_ten_thousand_columns(write):
    """In one table."""
    names = [f"c{at}" for at in range(10_000)]
    rows = "".join(f"{row}," + ",".join(["1.5"] * 10_000) + "\n" for row in range(50))
    path = write("time," + ",".join(names) + "\n" + rows)
    points = points_of(path)
    assert len(points) == 10_000
    assert len(points["c9999"]) == 50


def test_a_file_is_read_on_from_every_place(write, monkeypatch):
    """Nothing twice, nothing missing; lines are those of the file."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1000)
    text = "time,x,y\n" + "".join(f'{at},{at},"a\n""b"\n' for at in range(300)) + "300,bad,y\n"
    path = write(text)
    plan = started(detect(path))
    plan = plan.with_tables(
        (
            dataclasses.replace(
                plan.tables[0],
                columns=tuple(
                    dataclasses.replace(one, data_type=DataType.INT_64) if one.name == "x" else one
                    for one in plan.tables[0].columns
                ),
            ),
        )
    )
    whole = list(read(path, plan, on_error=OnError.SKIP))
    assert len(whole) > 3
    for at, batch in enumerate(whole):
        cells = []
        rest = list(
            read(path, plan, start=batch.place, on_error=OnError.SKIP, on_bad_cell=cells.append)
        )
        left = [time for each in rest for time in each.times_ns.tolist()]
        assert left == [time for each in whole[at + 1 :] for time in each.times_ns.tolist()]
        assert [cell.line for cell in cells] == ([602] if rest else [])


def test_a_quote_that_is_not_closed_is_told(write):
    """The rest of the file is no cell."""
    path = write('time,x\n0,"a\n1,b\n')
    with pytest.raises(UnreadableFileError, match="quote that line 2 opens is not closed"):
        points_of(path)


def test_what_the_user_chose_is_taken(write):
    """A type, an enum, no import of a column."""
    path = write("time,a,b,c,d\n0,007,boost,1.5,1\n1,008,main,2.5,0\n")
    plan = started(detect(path))
    a, b, c, d = plan.tables[0].columns
    chosen = (
        dataclasses.replace(a, data_type=DataType.INT_32),
        dataclasses.replace(b, data_type=DataType.ENUM, enum={"boost": 3, "main": 5}),
        dataclasses.replace(c, data_type=DataType.FLOAT, channel="see"),
        dataclasses.replace(d, data_type=DataType.BOOL),
    )
    plan = plan.with_tables((dataclasses.replace(plan.tables[0], columns=chosen),))
    points = {
        channel: [value for _, value in found] for channel, found in points_of(path, plan).items()
    }
    assert points == {"a": [7, 8], "b": [3, 5], "see": [1.5, 2.5], "d": [True, False]}


def test_a_real_flight_is_read_value_by_value():
    """Against Python's own reader."""
    with ROCKET.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    plan = started(detect(ROCKET))
    points = points_of(ROCKET, plan)
    assert not plan.bad_count
    assert len(points) == len(header) - 1
    for one in plan.tables[0].columns:
        at = int(one.path) - 1
        cells = [row[at].strip() for row in rows]
        kind = {"int64": int, "double": float, "string": str}[one.data_type.value]
        found = points[one.channel]
        assert len(found) == len(rows)
        for (time_ns, value), cell, row in zip(found, cells, rows, strict=True):
            assert value == kind(cell) or (math.isnan(value) and cell == "NaN")
            assert time_ns == round(float(row[4]) * 100) * 10_000_000


def test_hints_are_taken(write):
    """What a person knows is not guessed, and the file is looked at with it."""
    path = write("a,b,c\n007,1656083836,x\n008,1656083837,y\n")
    hints = Hints(time=("b",), types={"a": DataType.INT_64})
    plan = detect(path, hints)
    assert types_of(plan) == {"a": "int64", "c": "string"}
    assert points_of(path, plan)["a"] == [(1656083836 * SECOND, 7), (1656083837 * SECOND, 8)]
    plan = detect(path, Hints(time=("a",), time_format=TimeFormat.RELATIVE_MINUTES))
    assert points_of(path, started(plan))["c"] == [(420 * SECOND, "x"), (480 * SECOND, "y")]
    plan = detect(path, Hints(time=("b",), types={"c": DataType.DOUBLE}))
    assert [cell.value for cell in plan.bad_cells] == ["x", "y"]
    with pytest.raises(PlanError, match="no column 'd'; there are 'a', 'b', 'c'"):
        detect(path, Hints(time=("d",)))
    with pytest.raises(PlanError, match="'c' has no times"):
        detect(path, Hints(time=("c",)))


def test_corrections_change_a_plan(write):
    """By any name that a column has."""
    path = write("time,speed (m/s),state\n0,1,2\n")
    plan = detect(path)
    fixed = corrected(
        plan,
        Corrections(
            start_ns=5, units={"speed": "km/h"}, channels={"2": "v"}, only=("sp*",), flow="trip"
        ),
    )
    (table,) = fixed.tables
    assert (table.name, table.time.start_ns) == ("trip", 5)
    assert [(one.channel, one.unit) for one in table.wanted] == [("v", "km/h")]
    with pytest.raises(PlanError, match="would both be the channel 'state'"):
        corrected(plan, Corrections(channels={"speed": "state"}))
    with pytest.raises(PlanError, match="no column 'spee'; there are 'speed"):
        corrected(plan, Corrections(only=("spee",)))


def test_everything_may_be_quoted(write):
    """Numbers and times, too; nothing in quotes is nothing, but in text."""
    path = write('"time","x","word"\n"0","1.5","a"\n"1","",""\n"2","2.5","b"\n')
    points = points_of(path)
    assert points["x"] == [(0, 1.5), (2 * SECOND, 2.5)]
    assert points["word"] == [(0, "a"), (SECOND, ""), (2 * SECOND, "b")]


@pytest.mark.parametrize(
    ("values", "data_type"),
    [
        (["1.5", "-2"], DataType.DOUBLE),
        (["7", "NA"], DataType.INT_64),
        (["007", "8"], DataType.STRING),
        (["true", "false"], DataType.BOOL),
        (["", ""], DataType.STRING),
    ],
)
def test_a_column_that_begins_late_is_what_its_first_values_say(tmp_path, values, data_type):
    """Also where nothing of it is among the rows that are looked at first."""
    path = tmp_path / "late.csv"
    rows = [f"{n}.0," for n in range(100_000)] + [
        f"{200_000 + n}.0,{values[n % 2]}" for n in range(100)
    ]
    path.write_text("time,late\n" + "\n".join(rows) + "\n")
    plan = detect(path)
    (column,) = plan.tables[0].columns
    assert column.data_type is data_type
    assert plan.bad_count == 0
