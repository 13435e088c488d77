"""What the child does with good, bad and absurd files; it is a real process each time."""

import asyncio
import io
import random
import subprocess
import sys
import time
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from huizhen.inspection import kinds, verdict, worker
from huizhen.inspection.chamber import Chamber, Inspected, private_file
from huizhen.inspection.errors import UploadRefused
from tests.inspection import corpus

BOUND_KIB = worker.MEMORY // 1024


async def inspect(data: bytes, said: str | None = None, at: Chamber | None = None) -> Inspected:
    with private_file() as source:
        source.write(data)
        return await (at or Chamber()).inspect(source, said)


async def cleaned(data: bytes, media_type: str, name: str) -> tuple[verdict.Clean, bytes]:
    inspected = await inspect(data, kinds.declared(media_type, name))
    with inspected.file as file:
        return inspected.found, file.read()


@pytest.mark.parametrize("name", corpus.GOOD)
async def test_good_files_come_out_clean(name: str) -> None:
    data, media_type, given = corpus.GOOD[name]
    found, out = await cleaned(data, media_type, given)
    assert found.size == len(out) > 0
    assert 0 < found.peak_kib < BOUND_KIB
    if found.kind == "pdf":
        with pikepdf.open(io.BytesIO(out)) as paper:
            assert len(paper.pages) == found.pages == 2
    else:
        with Image.open(io.BytesIO(out)) as picture:
            picture.load()
            assert picture.format == found.kind.upper()
            assert picture.size == (found.width, found.height)
            assert not picture.getexif()


async def test_a_photo_loses_its_place_and_stands_upright() -> None:
    data, media_type, given = corpus.GOOD["photo with place"]
    assert b"SECRETPHONE" in data
    found, out = await cleaned(data, media_type, given)
    assert (found.width, found.height) == (480, 640)
    assert b"SECRETPHONE" not in out
    assert b"Exif" not in out


async def test_a_large_photo_becomes_smaller_within_the_bound() -> None:
    found, _ = await cleaned(corpus.jpeg((9000, 6000)), "image/jpeg", "a.jpg")
    assert (found.width, found.height) == (4096, 2731)
    assert found.peak_kib < BOUND_KIB // 2


async def refusal(data: bytes, media_type: str, name: str) -> str:
    try:
        said = kinds.declared(media_type, name)
        inspected = await inspect(data, said)
    except verdict.Refused as error:
        return error.code
    except UploadRefused as error:
        return error.code
    inspected.file.close()
    return ""


@pytest.mark.parametrize("name", corpus.BAD)
async def test_bad_files_are_refused_with_their_code(name: str) -> None:
    assert await refusal(*corpus.sent(name)) == corpus.BAD[name][3]


def test_the_bound_on_memory_holds_for_every_file(tmp_path: Path) -> None:
    """Measured by the kernel, from outside: the largest resident set among all children of a fresh process."""
    script = (
        "import sys\n"
        "from tests.inspection import corpus\n"
        "names = ('pixel bomb', 'packed bomb', 'contents bomb', 'object stream bomb')\n"
        "for name in names:\n"
        "    open(f'{sys.argv[1]}/{names.index(name)}', 'wb').write(corpus.sent(name)[0])\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=root)
    feed = (
        "import os, resource, sys\n"
        "target = os.memfd_create('out', 0)\n"
        "for name in sorted(os.listdir(sys.argv[1])):\n"
        "    if os.fork() == 0:\n"
        "        os.dup2(os.open(f'{sys.argv[1]}/{name}', os.O_RDONLY), 0)\n"
        "        os.set_inheritable(target, True)\n"
        "        os.execv(sys.executable, [sys.executable, '-m', 'huizhen.inspection.worker', str(target), ''])\n"
        "    os.wait()\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", feed, str(tmp_path)], check=True, capture_output=True, text=True, cwd=root
    )
    peak = int(done.stdout.splitlines()[-1])
    print(f"largest resident set of the inspecting children: {peak} KiB of {BOUND_KIB}")
    assert 10_000 < peak < BOUND_KIB


async def test_the_child_can_open_nothing_once_it_is_confined() -> None:
    """Neither a file nor a socket nor a child: what a compromised decoder would need first."""
    script = (
        "import os, socket, sys\n"
        "from huizhen.inspection import worker\n"
        "worker.confine(1, 1 << 20)\n"
        "def tried(what):\n"
        "    try:\n"
        "        what()\n"
        "    except OSError as error:\n"
        "        return error.errno\n"
        "    return 0\n"
        "found = [tried(lambda: os.open('/etc/passwd', os.O_RDONLY)), tried(lambda: socket.socket()),\n"
        "         tried(lambda: os.pipe()), tried(lambda: os.dup(0))]\n"
        "os.write(1, repr(found).encode())\n"
    )
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    out, _ = await done.communicate()
    assert out == b"[24, 24, 24, 24]"  # EMFILE


async def test_every_decoder_works_under_the_bounds_of_an_ordinary_account() -> None:
    """Root is not held to the limit of processes; a server is not run as root."""
    script = (
        "import os\n"
        "from huizhen.inspection import papers, pictures, worker\n"
        "from tests.inspection import corpus\n"
        "files = {name: corpus.GOOD[name][0] for name in ('heic', 'photo with place', 'screenshot', 'paper')}\n"
        "pictures.warm(), papers.warm()\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "said = os.dup(1)\n"
        "for name, kind in (('photo with place', 'jpeg'), ('screenshot', 'png'), ('paper', 'pdf'), ('heic', 'heic')):\n"
        "    if os.fork() == 0:\n"
        "        worker.confine(1, 1 << 24, threads=kind == 'heic')\n"
        "        data = files[name]\n"
        "        out, found = papers.clean(data) if kind == 'pdf' else pictures.clean(data, kind)\n"
        "        os.write(1, found.kind.encode() + b' ')\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
    )
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    out, _ = await done.communicate()
    assert out == b"jpeg png pdf jpeg "


async def test_a_child_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.create_subprocess_exec

    async def sleeper(*command: str, **options: object) -> asyncio.subprocess.Process:
        return await real("/bin/sleep", "60", **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", sleeper)
    began = time.monotonic()
    with pytest.raises(UploadRefused, match=verdict.TOO_COMPLEX):
        await inspect(corpus.jpeg(), at=Chamber(seconds=0.2))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"code":"access.denied"}',
        b'{"code":1}',
        b'{"kind":"exe","pages":1,"width":1,"height":1,"size":1,"peak_kib":1}',
        b'{"kind":"pdf","pages":-1,"width":1,"height":1,"size":1,"peak_kib":1}',
        b'{"kind":"pdf","pages":true,"width":1,"height":1,"size":1,"peak_kib":1}',
        b'{"kind":"pdf"}',
        b"[" * 4000,
    ],
)
def test_a_child_that_lies_is_not_believed(told: bytes) -> None:
    assert verdict.parse(told) == verdict.DAMAGED


def test_verdicts_survive_the_pipe() -> None:
    clean = verdict.Clean("pdf", 2, 0, 0, 10, 5)
    assert verdict.parse(verdict.line(clean)) == clean
    for code in verdict.REFUSALS:
        assert verdict.parse(verdict.line(code)) == code


async def test_nothing_stays_open() -> None:
    await refusal(*corpus.sent("photo + zip"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("photo + zip", "cut paper", "svg called png"):
        await refusal(*corpus.sent(name))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_mutations_of_good_files_never_do_more_than_a_code() -> None:
    """Random damage to every kind of good file: a code or a clean file, never anything else."""
    dice = random.Random(20260302)
    at = Chamber()

    async def one(data: bytes) -> str:
        try:
            inspected = await inspect(data, None, at)
        except UploadRefused as error:
            return error.code
        inspected.file.close()
        return "clean"

    samples = [corpus.GOOD[name][0] for name in ("photo with place", "screenshot", "paper", "transparent")]
    answers = [await one(_damaged(dice, dice.choice(samples))) for _ in range(48)]
    assert set(answers) <= verdict.REFUSALS | {"clean"}
    assert len(set(answers)) > 1


def _damaged(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randint(1, 12)):
        at = dice.randrange(len(changed))
        match dice.randrange(4):
            case 0:
                changed[at] ^= 1 << dice.randrange(8)
            case 1:
                del changed[at : at + dice.randint(1, 40)]
            case 2:
                changed[at:at] = dice.randbytes(dice.randint(1, 40))
            case _:
                changed[at : at + 4] = b"\xff\xff\xff\xff"
        if not changed:
            return b"x"
    return bytes(changed)
