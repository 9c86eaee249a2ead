"""A back-end of libvhost-user's dies of a ring number that is out of range.

    python contrib/qemu/ring_out_of_range/reproduce.py [--qemu-storage-daemon PATH] [--way WAY]

The back-end is qemu-storage-daemon with a block device that is not there. REPORT.md tells what is
seen. Needs the standard library alone, and the directory above.
"""

import argparse
import socket
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend import HEADER, VERSION, connect
from programs import TIMEOUT, CannotTryError, Program, cannot_try, judge, tell

_NAME = "qemu-storage-daemon"
_GET_FEATURES, _SET_OWNER = 1, 3
_STATE = struct.Struct("=II")  # a ring's number, and a figure
_ADDRESSES = struct.Struct("=IIQQQQ")  # a ring's number, flags, and its addresses

# Its block export has one ring, number 0.
_NEXT = 1
_FAR = 1 << 24

WAYS = {
    "end": (11, _STATE.pack(_NEXT, 0)),  # GET_VRING_BASE
    "end-far": (11, _STATE.pack(_FAR, 0)),
    "size-far": (8, _STATE.pack(_FAR, 128)),  # SET_VRING_NUM
    "base-far": (10, _STATE.pack(_FAR, 0)),  # SET_VRING_BASE
    "addresses-far": (9, _ADDRESSES.pack(_FAR, 0, 0, 0, 0, 0)),  # SET_VRING_ADDR
}


def main() -> int:
    """Try it in one way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--qemu-storage-daemon", metavar="PATH", default=_NAME)
    parser.add_argument("--way", choices=WAYS, default=next(iter(WAYS)), help="how to try it")
    options = parser.parse_args()
    try:
        program = Program(_NAME, options.qemu_storage_daemon)
    except CannotTryError as error:
        return cannot_try(error)

    def attempt() -> None:
        program.start(
            [
                *("--blockdev", "driver=null-co,node-name=disk,size=1048576,read-zeroes=on"),
                "--export",
                "type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path=socket",
            ]
        )
        connection = connect(str(program.directory / "socket"))
        connection.settimeout(TIMEOUT)
        _send(connection, _SET_OWNER)
        _ask(connection, _GET_FEATURES)
        program.note_image()
        tell(f"way: {options.way}")
        _send(connection, *WAYS[options.way])
        if options.way.startswith("end"):
            connection.recv(HEADER.size + _STATE.size)
        # It serves one front-end at a time, so that this waits for the one before to be done with.
        connection.close()
        # One that has ended meanwhile refuses, which is not to be waited out.
        another = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        another.settimeout(TIMEOUT)
        another.connect(str(program.directory / "socket"))
        _ask(another, _GET_FEATURES)

    return judge(program, attempt)


def _ask(connection: socket.socket, request: int) -> None:
    _send(connection, request)
    if not connection.recv(HEADER.size + 8, socket.MSG_WAITALL):
        raise EOFError


def _send(connection: socket.socket, request: int, payload: bytes = b"") -> None:
    connection.sendall(HEADER.pack(request, VERSION, len(payload)) + payload)


if __name__ == "__main__":
    sys.exit(main())
