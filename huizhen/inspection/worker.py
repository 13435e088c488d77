"""The inspecting child: `python -m huizhen.inspection.worker FD KIND`, one per file, alive for seconds.

Reads the file on stdin, writes the cleaned copy to descriptor FD and one line to stdout. Before the first byte of the
file is looked at it has given up: memory above a bound, processor time, file size, new descriptors (no file and no
socket can be opened any more), children, dumps. It dies with its parent. Whatever it does, the server
has lost a child and a code comes out.
"""

import ctypes
import os
import resource
import signal
import sys

# Descriptors after `confine`: 0 the file, 1 the line, 2 nowhere, then these two and no more.
OUT, STATUS = 3, 4
MEMORY = 768 * 1024 * 1024  # bytes of address space: the libraries alone take a third of it
CPU_SECONDS = 20
_ROOM = 64 * 1024 * 1024  # bytes a copy may be larger than four times its source
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38


def confine(output: int, largest: int, *, threads: bool = False, memory: int = MEMORY, cpu: int = CPU_SECONDS) -> None:
    """No way back. Descriptors 0 to 4 stay; `largest` bounds a file in bytes; `threads`: HEIC decoding makes some."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.dup2(output, OUT)
    status = os.open("/proc/self/status", os.O_RDONLY) if sys.platform == "linux" else 0
    os.dup2(status, STATUS)
    os.closerange(STATUS + 1, 4096)
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, largest),
        (resource.RLIMIT_CPU, cpu),
        *(() if threads else ((resource.RLIMIT_NPROC, 0),)),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, STATUS + 1),  # all of them in use: nothing can be opened
    ):
        resource.setrlimit(kind, (value, value))


def peak_kib() -> int:
    """Largest resident set of this program (getrusage would tell the parent's, from before it was this program)."""
    text = os.pread(STATUS, 8192, 0).decode(errors="replace") if sys.platform == "linux" else ""
    found = [row.split()[1] for row in text.splitlines() if row.startswith("VmHWM:")]
    return int(found[0]) if found else 0


def main() -> int:
    output, said = int(sys.argv[1]), sys.argv[2]
    from dataclasses import replace

    from huizhen.inspection import kinds, layout, papers, pictures, verdict

    pictures.warm()
    papers.warm()
    heic = os.pread(0, 8, 0)[4:] == b"ftyp"
    confine(output, os.fstat(0).st_size * 4 + _ROOM, threads=heic)
    found: verdict.Clean | str
    try:
        with os.fdopen(0, "rb", closefd=False) as source:
            data = source.read()
        kind = kinds.agreed(data, said)
        layout.check(data, kind)
        out, found = papers.clean(data) if kind == kinds.PDF else pictures.clean(data, kind)
        with os.fdopen(OUT, "wb", closefd=False) as target:
            target.write(out)
        found = replace(found, peak_kib=peak_kib())
    except verdict.Refused as error:
        found = error.code
    except MemoryError:
        found = verdict.TOO_COMPLEX
    except Exception:
        found = verdict.DAMAGED
    os.write(1, verdict.line(found))
    return 0


if __name__ == "__main__":
    os._exit(main())
