"""Readers and files that are damaged or made to harm: a clear error, or what is left of them."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.errors import UsageError
from aerostat.simulator import traces
from aerostat.simulator.traces import trace
from aerostat.simulator.traces.lines import MOST
from aerostat.units import MIB

SAMPLES = Path(__file__).parents[3] / "examples" / "traces"
FILES = {
    "bitbrains": "bitbrains/2.csv",
    "materna": "materna/01.csv",
    "azure": "azure/vm_cpu_readings-file-1-of-2.csv",
    "google": "google/instance_usage.json",
    "alibaba": "alibaba/container_usage.csv",
}
HEADER = SAMPLES.joinpath(FILES["bitbrains"]).read_text().splitlines()[0]
GOOD = "1376314800;\t2;\t1;\t1;\t1;\t1048576.0;\t1024.0;\t1;\t1;\t1;\t1"


def read(name: str, content: bytes, directory: Path) -> list[traces.Trace]:
    """Read a file of a trace with this content; for Azure it is one with readings."""
    path = directory / Path(FILES[name]).name
    path.write_bytes(content)
    if name == "azure":
        table = directory / "vmtable.csv"
        table.write_bytes((SAMPLES / "azure" / "vmtable.csv").read_bytes())
        return traces.READERS[name](directory, 10)
    return traces.READERS[name](path, 10)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces")


def holds_up(name: str, content: bytes, directory: Path) -> None:
    """Check that what is read makes sense, or that an error says where it does not."""
    found: list[traces.Trace] = []
    wrong = str(directory)
    try:
        found = read(name, content, directory)
    except UsageError as error:
        wrong = str(error)
    assert str(directory) in wrong
    for one in found:
        columns = (one.at, one.hold, one.cold, one.files, one.read_rate, one.write_rate)
        assert all(np.isfinite(column).all() and (column >= 0).all() for column in columns)
        assert (np.diff(one.at) > 0).all()
        assert 0 < one.size <= MOST
    if found:
        traces.as_guests(found, 60)


@given(name=st.sampled_from([*FILES]), content=st.binary(max_size=300))
def test_anything_at_all(name: str, content: bytes, directory: Path) -> None:
    holds_up(name, content, directory)


@given(
    name=st.sampled_from([*FILES]),
    where=st.floats(0, 1),
    length=st.integers(0, 9),
    new=st.one_of(
        st.binary(max_size=9),
        st.sampled_from([b"nan", b"-1", b"1e999", b"9" * 60, b"\n", b";", b'"', b"{", b"\0"]),
    ),
)
def test_a_sample_with_something_else_in_it(
    name: str, where: float, length: int, new: bytes, directory: Path
) -> None:
    sample = b"\n".join((SAMPLES / FILES[name]).read_bytes().splitlines()[:12])
    at = int(where * len(sample))

    holds_up(name, sample[:at] + new + sample[at + length :], directory)


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("bitbrains", f"{HEADER}\n{GOOD}\n{GOOD.replace('1024.0', 'much')}\n", 3, "memory usage"),
        ("bitbrains", f"{HEADER}\n{GOOD.replace('1024.0', '-5')}\n", 2, "not from 0"),
        ("bitbrains", f"{HEADER}\n{GOOD.replace('1024.0', 'nan')}\n", 2, "not a number"),
        ("bitbrains", f"{HEADER}\n1376314800;\t2\n", 2, "is missing"),
        ("bitbrains", "a;b;c\n1;2;3\n", 1, "no column"),
        (
            "bitbrains",
            f"{HEADER}\n{GOOD.replace('1376314800', '31.02.2015 00:00:00')}\n",
            2,
            "date",
        ),
        ("azure", "0,machine+0/made-up==,1,2,101\n", 1, "not from 0 to 100"),
        ("azure", "0,machine+0/made-up==\n", 1, "2 fields, not 5"),
        ("google", '{"start_time": 1, "end_time": 2}\n[1]\n', 1, "average_usage is missing"),
        ("google", "\n\n[1]\n", 3, "not an object"),
        ("google", "[" * 9000 + "\n", 1, "not JSON"),
        ("google", '{"start_time": true}\n', 1, "start_time is not a number"),
        ("google", '{"start_time": 5, "end_time": 4}\n', 1, "before"),
        ("alibaba", "m_1,0,50\n", 1, "3 fields, not 9"),
        ("alibaba", "m_1,0,50,102,,1,2,3,4\n", 1, "not from 0 to 100"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(
    name: str, text: str, line: int, words: str, directory: Path
) -> None:
    with pytest.raises(UsageError, match=words) as error:
        read(name, text.encode(), directory)

    assert f"{Path(FILES[name]).name}:{line}: " in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\n\n", HEADER.encode()])
def test_a_file_with_nothing_in_it(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read("bitbrains", content, tmp_path)


def test_times_come_twice_and_in_any_order(tmp_path: Path) -> None:
    rows = [GOOD.replace("1376314800", str(second)) for second in (600, 300, 600, 0)]
    rows[2] = rows[2].replace("1024.0", "2048.0")

    (found,) = read("bitbrains", "\n".join([HEADER, *rows]).encode(), tmp_path)

    assert found.at.tolist() == [0, 300, 600]
    assert found.hold[2] == pytest.approx(2 * found.hold[0])


def test_milliseconds_under_a_header_that_says_so(tmp_path: Path) -> None:
    row = GOOD.replace("1376314800", "1376314800000")

    (found,) = read("bitbrains", f"{HEADER}\n{row}".encode(), tmp_path)

    assert found.at.tolist() == [1376314800]


def test_compressed_files_are_read(tmp_path: Path) -> None:
    plain = (SAMPLES / FILES["alibaba"]).read_bytes()

    packed = read("alibaba", gzip.compress(plain), tmp_path)

    assert [one.name for one in packed] == [one.name for one in read("alibaba", plain, tmp_path)]


def test_damage_to_a_compressed_file_is_said(tmp_path: Path) -> None:
    packed = gzip.compress((SAMPLES / FILES["alibaba"]).read_bytes())

    with pytest.raises(UsageError, match="compressed, and damaged"):
        read("alibaba", packed[: len(packed) // 2], tmp_path)


def test_a_line_without_an_end_takes_no_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(b"0" * (16 * MIB), compresslevel=1)

    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=":1: a line of more than"):
            read("alibaba", bomb, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * MIB


def test_what_would_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_MOST_SAMPLES", 50)

    with pytest.raises(UsageError, match="more than 50 samples"):
        read("alibaba", (SAMPLES / FILES["alibaba"]).read_bytes(), tmp_path)


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing\n")

    with pytest.raises(UsageError, match="not one of the traces"):
        traces.read(tmp_path / "notes.txt")
    with pytest.raises(UsageError, match=r"no \.csv files"):
        traces.read(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        traces.read(tmp_path / "nowhere.csv")
    with pytest.raises(UsageError, match="no reader"):
        traces.read(tmp_path, of="planetlab")
    with pytest.raises(UsageError, match="no directory with vmtable"):
        traces.read(tmp_path, of="azure")
