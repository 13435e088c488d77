"""The child that sets one paper: job on standard input, PDF on standard output, and it ends. Started by file path.

It imports nothing of ours, opens no socket, and limits itself before it reads. Exit status 3: the job could not be set.
"""

import base64
import json
import resource
import sys
import tempfile
from pathlib import Path

CPU_SECONDS = 20
MEMORY = 3 << 30  # address space: fonts are mapped, typst starts threads
LARGEST_JOB = 8 << 20
FAILED = 3


def main() -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    raw = sys.stdin.buffer.read(LARGEST_JOB + 1)
    if len(raw) > LARGEST_JOB:
        return FAILED
    job = json.loads(raw)
    import typst

    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=job["fonts"])
    with tempfile.TemporaryDirectory(prefix="huizhen-press-") as folder:
        root = Path(folder)
        for name, data in job["files"].items():
            (root / name).write_bytes(base64.b64decode(data))
        try:
            pdf = typst.compile(
                str(root / "main.typ"),
                root=str(root),
                font_paths=fonts,
                ignore_system_fonts=True,
                format="pdf",
                pdf_standards=["a-3b"],
                timestamp=int(job["at"]),
                package_path=str(root),
                package_cache_path=str(root),
            )
        except typst.TypstError as error:
            # the message may quote the paper: only its first words, which are typst's own, leave this process
            sys.stderr.write(str(error.message)[:60])
            return FAILED
    sys.stdout.buffer.write(pdf)
    return 0


if __name__ == "__main__":
    sys.exit(main())
