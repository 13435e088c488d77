"""Rules of CONTRIBUTING.md that a script can check: names, lengths, lock files, links."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.inventory import ROOT

FORBIDDEN = frozenset({"util", "utils", "core", "common", "helper", "helpers", "manager", "managers"})
LONGEST = 400
LONGER = {
    "web/src/rtc/messages.gen.ts": "generated from the messages",
    "huizhen/store/migrations/versions/0001_initial.py": "generated from the tables",
    "tests/rtc/test_policies.py": "a table of small policies, each with its scenes",
    "tests/rtc/test_room.py": "one conference, many short scenes on the same stage",
}
AWAITED = {"docs/benchmarks.md", "docs/images/room.png"}  # made by a run: figures and picture of the released state
CODE = {".py", ".ts", ".vue", ".mjs", ".css", ".html"}


def _files() -> list[str]:
    """Tracked files and new ones that are not ignored, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
    else:  # an unpacked source archive
        hidden = ("node_modules", "__pycache__", "static", "data")
        names = [
            str(path.relative_to(ROOT))
            for path in ROOT.rglob("*")
            if not any(part in hidden or part.startswith(".") for part in path.relative_to(ROOT).parts)
        ]
    return sorted(name for name in names if name and (ROOT / name).is_file())


FILES = _files()


def _words(name: str) -> set[str]:
    """Folder names and the module's name, cut at _ - . and capitals."""
    path = Path(name)
    parts = [*path.parts[:-1], path.name.partition(".")[0]]
    return {word.lower() for part in parts for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", part)}


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = {name for name in FILES if Path(name).suffix in CODE and _words(name) & FORBIDDEN}
    assert named == set()


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    long = {
        name: lines
        for name in FILES
        if Path(name).suffix in CODE
        and (lines := len((ROOT / name).read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert {name: count for name, count in long.items() if name not in LONGER} == {}
    assert set(LONGER) <= set(FILES), "exceptions for files that are gone"


def test_lock_files_name_no_host() -> None:
    """Where packages come from is the business of whoever installs, not of the repository."""
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, entry in lock["packages"].items() if "resolved" in entry] == []
    assert all("integrity" in entry for name, entry in lock["packages"].items() if name)
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in constraints
    assert "--" not in constraints, "an option such as an index does not belong here"
    configured = {name for name in FILES if Path(name).name in (".npmrc", ".yarnrc", "pip.conf", ".pypirc", "uv.toml")}
    assert configured == set()


def test_every_constraint_is_one_exact_version() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._\[\]-]+==[^=]+", line)] == []


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".md")])
def test_links_of_the_documents_lead_somewhere(name: str) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]
    places = [((ROOT / name).parent / target).resolve() for target in local]
    awaited = {ROOT / each for each in AWAITED}
    assert [str(place) for place in places if not place.exists() and place not in awaited] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"]
    decisions = [f"decisions/{path.name}" for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert [name for name in [*pages, *decisions] if f"({name})" not in index] == []


def test_decisions_are_numbered_without_holes() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
