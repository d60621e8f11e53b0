# SPDX-License-Identifier: Apache-2.0
"""What a process does to files and sockets, as the kernel sees it: strace records it, this reads the record.

The order of the record is the order of causes: a thread does not go on before strace has seen its call begin or end.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

CHANGES = (
    "pwrite64,write,writev,sendto,sendmsg,ftruncate,fdatasync,fsync,openat,rename,renameat,renameat2,unlink,unlinkat"
)
"""All calls by which a server changes files or answers."""

_LONGEST = 4 * 1024 * 1024

_BEGUN = re.compile(r"(\d+) +(\w+)\((.*)$", re.DOTALL)
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_RESULT = re.compile(r"\)\s+= (-?\d+)")
_UNFINISHED = " <unfinished ...>"
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"^(-?\d+)<([^>]*)>")


class Call(NamedTuple):
    """The begin of a call, or its end: then `result` is what it returned, and None before.

    `path` is the file of the descriptor it is about, "" without one; `texts` are its byte strings; `numbers` are the
    whole numbers that stand alone among the arguments.
    """

    thread: int
    name: str
    path: str
    texts: tuple[bytes, ...]
    numbers: tuple[int, ...]
    flags: str
    result: int | None


def recording(record: Path, *options: str) -> list[str]:
    """Return what to put before a command so that its calls are recorded."""
    return [
        "strace", "-D", "--seccomp-bpf", "-f", "-y", "-xx", "-s", str(_LONGEST), "-o", str(record), "-e", "signal=none",
        "-e", f"trace={CHANGES}", *options,
    ]  # fmt: skip


def injecting(record: Path, faults: Mapping[str, str], *paths: Path) -> list[str]:
    """Return what to put before a command so that its calls fail as strace is told: all, or those about the paths.

    `faults` are such as {"fdatasync": "error=EIO:when=20+"}. See `injected`.
    """
    chosen = [part for path in paths for part in ("-P", str(path))]
    told = [part for call, fault in faults.items() for part in ("-e", f"inject={call}:{fault}")]
    return ["strace", "-D", "-f", "-s", "0", "-o", str(record), "-e", f"trace={','.join(faults)}", *chosen, *told]


def injected(record: Path) -> int:
    """Return how many calls failed because they were told to."""
    return record.read_text(encoding="ascii", errors="replace").count("(INJECTED)")


def read_record(record: Path) -> Iterator[Call]:
    """Yield the calls of a record: each twice, when it begins and when it ends."""
    open_calls: dict[int, Call] = {}
    with record.open(encoding="ascii", newline="\n") as lines:
        for line in lines:
            if begun := _BEGUN.match(line):
                thread, name, rest = int(begun[1]), begun[2], begun[3].rstrip("\n")
                call = _parsed(thread, name, rest.removesuffix(_UNFINISHED))
                yield call
                if rest.endswith(_UNFINISHED):
                    open_calls[thread] = call
                elif result := _RESULT.search(rest):
                    yield call._replace(result=int(result[1]))
            elif (resumed := _RESUMED.match(line)) and (result := _RESULT.search(resumed[3])):
                yield open_calls.pop(int(resumed[1]))._replace(result=int(result[1]))


def _parsed(thread: int, name: str, arguments: str) -> Call:
    file = _FILE.match(arguments)
    texts = tuple(_bytes(text) for text in _TEXT.findall(arguments))
    rest = re.sub(_TEXT, "", arguments)
    numbers = tuple(int(number) for number in re.findall(r", (-?\d+)(?=[,)]|$)", rest))
    path = _bytes(file[2]).decode() if file and file[2].startswith("\\x") else ""
    return Call(thread, name, path, texts, numbers, rest, None)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
