"""The manager's configuration, in TOML; and what a guest's own definition asks for."""

import tomllib

from aerostat.daemon.config.reading import loads, own_settings
from aerostat.errors import UsageError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import toml_text

_TEXT = b"""\
manage = true
mode = "need"
policy = "aerostat"
interval = 2.0
on_exit = "hold"

[host]
reserve = "10%"
memory_high = false

[[connector]]
kind = "qmp"
sockets = ["/run/qemu/*.qmp", '/run/"x"/*.sock']
agents = "/run/{name}.agent"

[[connector]]
kind = "libvirt"
uri = "qemu:///system"

[guests]
guarantee = "25%"
shares = 1_000.5

[guest."db-*"]
ceiling = "4GiB"   # not more
managed = false

[journal]
keep_size = "1GiB"
[api]
mode = 0o660
[metrics]
listen = "127.0.0.1:9178"
"""
_OTHER = b"""\
host = { budget = "16GiB" }
guest.one = { guarantee = "512MiB", ceiling = "1GiB", shares = 2, managed = false }
guest."two\\u00e9".shares = inf
sample_timeout = 0.25
request_timeout = nan
state_directory = \"\"\"/var
/lib\"\"\"
connector = []
[journal]
keep_hours = 1e9
keep_days = -1
"""
_WORDS = tuple(
    b"manage|mode|policy|interval|on_exit|host|budget|reserve|cgroup|memory_high|connector|kind"
    b"|sockets|agents|uri|passthrough|trust_metadata|guests|guest|guarantee|ceiling|shares|managed"
    b"|journal|enabled|path|keep_hours|keep_days|keep_size|api|socket|group|metrics|listen"
    b"|true|false|inf|nan|-1|1e400|0x7fffffffffffffff|1979-05-27T07:32:00Z|07:32:00"
    b"|512MiB|10%|-1%|1e400GiB|99999999999999999999GiB|[[|]]|[|]|{|}|\"\"\"|'''|\\u0000|\\UFFFFFFFF"
    b'|""|#|=|.|\n|need|density|hold|libvirt|qmp|mom:pressure=0.5|proxmox|nonsense'.split(b"|")
)  # fmt: skip


_TABLES = tuple(tomllib.loads(text.decode()) for text in (_TEXT, _OTHER))
_TEXTS = tuple(word.decode() for word in _WORDS if len(word) > 1)


def run(case: bytes) -> None:
    """Read a configuration, and use what was accepted."""
    text = case.decode("utf-8", "replace")
    match case[:1]:
        case b"\x00":
            _read_own(text)
            return
        case b"\x01":
            text = toml_text.spoiled(Source(case[1:]), _TABLES, _TEXTS)
    config = loads(text)
    assert config.interval > 0
    assert config.sample_limit > 0
    promise = config.promise("db-1", "qmp:/run/x", 1 << 30)
    assert 0 <= promise.guarantee <= promise.ceiling <= 1 << 30
    assert 0 < promise.shares < float("inf")


def _read_own(text: str) -> None:
    keys = ("guarantee", "ceiling", "shares", "managed")
    found, problems = own_settings(dict(zip(keys, text[1:].split("\n"), strict=False)))
    assert len(problems) <= len(keys)
    assert found.shares is None or 0 < found.shares < float("inf")


def _seeds() -> tuple[bytes, ...]:
    structured = (b"\x01" + bytes([7 * number, 99, number, 200, number]) for number in range(20))
    return (_TEXT, _OTHER, b"\x0025%\n1GiB\n3.5\nyes", *structured)


TARGET = Target(
    "config",
    "the manager's configuration",
    run,
    allowed=(UsageError,),
    seeds=_seeds,
    words=_WORDS,
    longest=2048,
    text=True,
)
