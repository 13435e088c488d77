"""What the code base has to say to its documentation: collected from the code itself, never from a list."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from audit.events import EventCode
from clinic.admission import REASON_CODES
from clinic.panels.reasons import PANEL_REASONS
from consent.gate import RECORDING_REASONS
from huizhen.problems import STATUS
from signaling.messages import EVENTS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGES = ("rtc", "signaling", "recording", "imaging", "consent", "clinic", "archive", "audit", "huizhen")
# Dotted texts of a code's family that are no codes: resource packages, keys of wording and of demo links, files.
NO_CODES = frozenset(
    {
        "archive.policies",
        "clinic.policies",
        "clinic.rules",
        "consent.policies",
        "clinic.rules.overlays",
        "consent.wording",
        "recording.worker",  # the child's module
        "server.lock",
        "images.worker",
        "copy.json",  # files of a sealed copy
        "paper.pdf",
        "panel.copy",  # a class of records
        "opinion.typ",  # the template of its paper
        "panel.family",
        "panel.patient",
        "visit.family",
        "visit.guest",
        "visit.patient",
    }
)
PLAIN_CODES = frozenset({"not_found"})  # the only code without a family
_DOTTED = re.compile(r"[a-z_]+(\.[a-z0-9_]+)+\Z")


def page(name: str) -> str:
    """Text of docs/<name>."""
    return (DOCS / name).read_text(encoding="utf-8")


@cache
def error_classes() -> dict[str, tuple[type[BaseException], ...]]:
    """Code -> the exception classes that carry it, of every module of every package."""
    found: dict[str, list[type[BaseException]]] = {}
    for name in PACKAGES:
        package = importlib.import_module(name)
        for info in pkgutil.walk_packages(package.__path__, f"{name}."):
            if "migrations" in info.name or info.name.endswith("__main__"):
                continue
            module = importlib.import_module(info.name)
            for each in vars(module).values():
                if inspect.isclass(each) and issubclass(each, BaseException) and each.__module__ == info.name:
                    code = getattr(each, "code", None)
                    if isinstance(code, str):
                        found.setdefault(code, []).append(each)
    return {code: tuple(classes) for code, classes in found.items()}


@cache
def codes() -> frozenset[str]:
    """Every stable code: of error classes, of reasons, of HTTP problems, and every other text of these families."""
    known = {*error_classes(), *REASON_CODES, *PANEL_REASONS, *RECORDING_REASONS, *STATUS, *PLAIN_CODES}
    families = {code.partition(".")[0] for code in known if "." in code}
    other = {event.value for event in EventCode} | set(EVENTS) | NO_CODES
    loose = {
        text
        for path in sources()
        if "verify" not in path.relative_to(ROOT).parts
        for text in _texts(path)
        if text.partition(".")[0] in families and text not in other
    }
    return frozenset(known | loose)


@cache
def findings() -> frozenset[str]:
    """Codes of what `huizhen verify` finds."""
    folder = ROOT / "audit" / "verify"
    events = {event.value for event in EventCode}
    return frozenset(text for path in sorted(folder.glob("*.py")) for text in _texts(path)) - events


@cache
def metric_names() -> frozenset[str]:
    """Names of the figures of /metrics, without what Prometheus appends."""
    static = ast.parse((ROOT / "huizhen" / "metrics.py").read_text(encoding="utf-8"))
    names = {n.value for n in ast.walk(static) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    named = {name for name in names if re.fullmatch(r"huizhen_[a-z_]*[a-z]", name)}
    return frozenset(named | {f"huizhen_{name}" for path in sources() for name in _counted(path)})


@cache
def sources() -> tuple[Path, ...]:
    """The product's own Python files."""
    return tuple(
        path
        for name in PACKAGES
        for path in sorted((ROOT / name).rglob("*.py"))
        if "migrations" not in path.parts and "static" not in path.parts
    )


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.match(node.value):
            yield node.value


def _counted(path: Path) -> Iterator[str]:
    """First arguments of `counters.count("...")` and `counters.gauge("...")`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(
                func=ast.Attribute(value=owner, attr="count" | "gauge"), args=[ast.Constant(value=str() as name), *_]
            ) if "counters" in ast.dump(owner):
                yield name


def model_fields(model: Any) -> list[str]:
    """Field names as they are on the wire."""
    return [field.alias or name for name, field in model.model_fields.items()]
