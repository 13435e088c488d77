"""The command line, each command as an operator types it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from huizhen.cli import app
from huizhen.settings import reference

runner = CliRunner()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the machine, fast hashes."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("HUIZHEN_"):
            monkeypatch.delenv(name)
    for name, value in (("ARGON2_TIME_COST", "1"), ("ARGON2_MEMORY_KIB", "8"), ("ARGON2_PARALLELISM", "1")):
        monkeypatch.setenv(f"HUIZHEN_{name}", value)


def run(*words: str, status: int = 0, answers: str | None = None) -> str:
    result = runner.invoke(app, list(words), input=answers)
    assert result.exit_code == status, result.output
    return result.output


def founded(data: str = "data") -> str:
    """A database with one institution; its id."""
    run("migrate", "--data", data)
    said = run(
        *("admin", "create", "--data", data, "--institution", "某医院", "--short-name", "某院", "--licence", "L1"),
        *("--valid-to", "2040-01-01", "--departments", "03.04", "--phone", "0000-1", "--login", "Boss"),
        *("--name", "管理员", "--password", "a good long one"),
    )
    match = re.search(r"institution ([0-9a-f]{32})", said)
    assert match, said
    assert "signs in as boss" in said
    return match.group(1)


@pytest.mark.parametrize(
    "words",
    [
        [],
        *[
            [name]
            for name in ("serve", "demo", "migrate", "doctor", "verify", "backup", "restore", "export", "openapi")
        ],
        *[["config", name] for name in ("check", "docs")],
        ["retention", "due"],
        *[["admin", name] for name in ("create", "open-epoch")],
        *[["consult", name] for name in ("list", "trail")],
        *[["keys", name] for name in ("backup", "restore")],
    ],
)
def test_every_command_has_help_worth_reading(words: list[str]) -> None:
    said = run(*words, "--help")
    assert "Usage:" in said
    assert len(said.split()) > 25


def test_from_nothing_to_a_verified_institution() -> None:
    founded()
    assert "everything agrees" in run("verify", "--data", "data")
    report = json.loads(run("verify", "--data", "data", "--json"))
    assert (report["ok"], report["counts"]["logs"]) == (True, 1)
    assert "nothing is due" in run("retention", "due", "--data", "data", "--at", "2099-01-01")
    assert "consult" in run("consult", "list", "--data", "data")
    assert "no such consult" in run("consult", "trail", "0" * 32, "--data", "data", status=1)


def test_a_refused_administrator_creates_nothing() -> None:
    run("migrate", "--data", "data")
    common = ("admin", "create", "--data", "data", "--institution", "某医院", "--short-name", "某院", "--licence", "L1")
    rest = (
        "--valid-to",
        "2040-01-01",
        "--departments",
        "03.04",
        "--phone",
        "0000-1",
        "--login",
        "boss",
        "--name",
        "某",
    )
    assert "password.too_weak" in run(*common, *rest, "--password", "short", status=1)
    assert json.loads(run("verify", "--data", "data", "--json"))["counts"]["logs"] == 0


def test_changing_a_row_behind_the_servers_back_is_found() -> None:
    import sqlite3

    institution = founded()
    with sqlite3.connect("data/huizhen.db") as raw:
        raw.execute("UPDATE institutions SET phone = '0000-2' WHERE id = ?", (institution,))
    raw.close()
    said = run("verify", "--data", "data", status=1)
    assert institution in said
    assert "institutions" in said


def test_backup_and_restore_of_everything() -> None:
    institution = founded()
    run("backup", "safe/all.tar", "--data", "data")
    run("keys", "backup", "safe/keys.bin", "--passphrase", "ten letters or more", "--data", "data")
    with tarfile.open("safe/all.tar") as archive:
        assert "huizhen.db" in archive.getnames()
    assert "exists" in run("restore", "safe/all.tar", "--data", "data", status=1)
    run("restore", "safe/all.tar", "--data", "new")
    assert "wrong passphrase" in run(
        "keys", "restore", "safe/keys.bin", "--passphrase", "not the passphrase", "--data", "new", status=1
    )
    run("keys", "restore", "safe/keys.bin", "--passphrase", "ten letters or more", "--data", "new")
    assert "epoch 2 is open" in run("admin", "open-epoch", institution, "--data", "new")
    assert json.loads(run("verify", "--data", "new", "--json"))["ok"] is True


def test_a_backup_that_is_none() -> None:
    Path("x.tar").write_bytes(b"not a tar")
    assert "x.tar" in run("restore", "x.tar", "--data", "data", status=1)
    with tarfile.open("y.tar", "w") as archive:
        archive.add("x.tar", "../../evil")
    assert "not a backup" in run("restore", "y.tar", "--data", "data", status=1)
    assert not Path("../../evil").exists()


def test_configuration_is_checked_and_documented(tmp_path: Path) -> None:
    (tmp_path / "huizhen.toml").write_text('colour = "red"\n')
    assert runner.invoke(app, ["config", "check"]).exit_code == 2
    (tmp_path / "huizhen.toml").write_text('metrics_token = "a-long-enough-token"\n')
    said = run("config", "check")
    assert "metrics_token = (set)" in said
    assert "a-long-enough-token" not in said
    assert run("config", "docs") == reference()


def test_openapi_is_written(tmp_path: Path) -> None:
    run("openapi", "-o", "api.json")
    assert json.loads((tmp_path / "api.json").read_text())["openapi"] == "3.1.0"


def test_the_doctor_names_remedies() -> None:
    said = run("doctor", "--data", "data", status=1)
    assert "huizhen migrate" in said
    founded()
    assert "huizhen migrate" not in runner.invoke(app, ["doctor", "--data", "data"]).output


def test_export_refuses_what_is_not_there() -> None:
    founded()
    assert "no such recording" in run("export", "0" * 32, "out", "--data", "data", status=1)


def test_serve_refuses_an_old_database_and_a_second_server() -> None:
    assert "huizhen migrate" in run("serve", "--data", "data", "--port", "0", status=1)
    from huizhen.server import sole_use

    with sole_use(Path("data")):
        assert "Another huizhen" in run("serve", "--data", "data", "--port", "0", status=1)


def test_demo_starts_prints_stops_and_starts_again(tmp_path: Path) -> None:
    links = asyncio.run(_demo_once(tmp_path))
    kept = json.loads((tmp_path / "demo" / "demo.json").read_text())
    assert (tmp_path / "demo" / "demo.json").stat().st_mode & 0o077 == 0
    assert set(kept["urls"]) == {"visit.patient", "visit.family", "panel.patient", "panel.family", "console"}
    again = asyncio.run(_demo_once(tmp_path))
    assert [link.partition("#")[2] for link in links] == [link.partition("#")[2] for link in again]
    after = json.loads((tmp_path / "demo" / "demo.json").read_text())
    assert after["consults"] == kept["consults"]
    report = json.loads(run("verify", "--data", "demo", "--json"))
    assert (report["ok"], report["counts"]["files"]) == (True, 4)
    assert "process.av" in run("retention", "due", "--data", "demo")
    recording = re.search(r"[0-9a-f]{32}", _recordings())
    assert recording
    run("export", recording.group(), "out", "--data", "demo")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(manifest["sha256"]) == 6  # four segments, two joined files


def _recordings() -> str:
    import sqlite3

    with sqlite3.connect("demo/huizhen.db") as raw:
        found = str(raw.execute("SELECT id FROM recordings").fetchall())
    raw.close()
    return found


async def _demo_once(folder: Path) -> list[str]:
    """Start, wait for "ready", stop by Ctrl-C; the links it printed."""
    command = [sys.executable, "-m", "huizhen.cli", "demo", "--data", "demo", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "HUIZHEN_MEDIA_HOST": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(60):
            while "\nready " not in said:
                line = await process.stdout.readline()
                assert line, said
                said += line.decode()
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            rest, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    assert "stopped" in rest.decode()
    assert "Traceback" not in complaints.decode(), complaints.decode()
    return re.findall(r"http://localhost:\d+/p#[\w-]{22}", said)
