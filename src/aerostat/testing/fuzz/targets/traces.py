"""Traces of other people's machines, as `aerostat simulate` reads them."""

import gzip

from aerostat.errors import UsageError
from aerostat.simulator.traces import READERS, as_guests, read
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import files

_GWA = (
    b"Timestamp [ms];\tCPU cores;\tMemory capacity provisioned [KB];\tMemory usage [KB];\t"
    b"Disk read throughput [KB/s];\tDisk write throughput [KB/s]\n"
    b"1376314800;\t2;\t4194304.0;\t531304.6774;\t489.34;\t163.11\n"
    b"1376315100;\t2;\t4194304.0;\t543047.8661;\t115.01;\t38.33\n"
)
_MATERNA = (
    b'"Timestamp";"Memory capacity provisioned [KB]";"Memory usage [KB]";'
    b'"Disk read throughput [KB/s]";"Disk write throughput [KB/s]"\n'
    b'"04.11.2015 00:00:00";"4194304";"228028,20";"68,3";"34,1"\n'
    b'"04.11.2015 00:05:00";"4194304";"237652,06";"154,2";"77,1"\n'
)
_GOOGLE = (
    b'{"start_time": "600000000", "end_time": "900000000", "collection_id": "33", '
    b'"average_usage": {"cpus": 0.011, "memory": 0.00093}, "page_cache_memory": 0.00023, '
    b'"assigned_memory": 0.008}\n'
    b'{"start_time": 900000000, "end_time": "1200000000", "collection_id": 33, '
    b'"instance_index": "1", "average_usage": {"memory": 0.5}}\n'
)
_ALIBABA = (
    b"m_2,20400,12,46,,1,40.2,35.1,4\nm_2,3600,36,60,,1,40.2,35.1,12\n"
    b"c_1,m_1,10500,9,45,1.1,,2,0.1,0.2,3\n"
)
_KINDS = (None, *READERS)
_WORDS = tuple(
    b'Timestamp [ms]|memory usage [kb]|memory capacity provisioned [kb]|;|,|"|\t|\n|start_time'
    b"|end_time|average_usage|memory|page_cache_memory|assigned_memory|collection_id|instance_index"
    b"|null|true|[|]|{|}|1e308|-1|nan|inf|99999999999999999999|31.02.2015 00:00|04.11.2015 00:00"
    b"|\xef\xbb\xbf|\xff|1e-320|0.0|9007199254740992".split(b"|")
)  # fmt: skip


def run(case: bytes) -> None:
    """Read a file, said or guessed what it is of, and make guests of what is in it."""
    kind, data = case[:1], case[1:]
    number = kind[0] if kind else 0
    if number & 0x80:
        data = gzip.compress(data)[: -1 - number % 7 or None] + data[:8]
    path = files.write("trace.csv", data)
    traces = read(path, _KINDS[number % len(_KINDS)], limit=20)
    assert 0 < len(traces) <= 20
    for trace in traces:
        assert trace.size > 0
        assert (trace.hold >= 0).all()
        assert (trace.at[1:] > trace.at[:-1]).all()
    for guest in as_guests(traces, 60.0, seed=number):
        assert guest.max_size > 0


def _seeds() -> tuple[bytes, ...]:
    texts = (_GWA, _MATERNA, _GOOGLE, _ALIBABA)
    return (*(b"\x00" + text for text in texts), b"\x80" + _ALIBABA, b"\x05" + _ALIBABA)


TARGET = Target(
    "traces",
    "trace readers of the simulator",
    run,
    allowed=(UsageError,),
    seeds=_seeds,
    words=_WORDS,
    longest=2048,
    text=True,
)
