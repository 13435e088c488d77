"""What changed between two texts: by section, question and line. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any, Protocol

from consent.records import PurposeQuestion, TemplateSection


class Sign(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Line:
    sign: Sign
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """One section or question. `sign` SAME with lines added or removed means that it changed."""

    kind: str  # "title", "section", "question", "legal_basis"
    key: str
    sign: Sign
    lines: tuple[Line, ...]

    @property
    def changed(self) -> bool:
        return any(line.sign is not Sign.SAME for line in self.lines)


class Text(Protocol):
    @property
    def title(self) -> str: ...

    @property
    def sections(self) -> tuple[TemplateSection, ...]: ...

    @property
    def questions(self) -> tuple[PurposeQuestion, ...]: ...

    @property
    def legal_basis(self) -> tuple[str, ...]: ...


def compare(before: Text | None, after: Text) -> tuple[Part, ...]:
    """Every part of both texts, in the order of the later one, removed ones where they stood."""
    old, new = _parts(before) if before is not None else {}, _parts(after)
    return tuple(_part(kind, key, old.get((kind, key)), new.get((kind, key))) for kind, key in _merged(old, new))


def _merged(old: Mapping[tuple[str, str], Any], new: Mapping[tuple[str, str], Any]) -> list[tuple[str, str]]:
    order = list(new)
    for place, name in enumerate(old):
        if name not in new:
            order.insert(min(place, len(order)), name)
    return order


def _parts(text: Text) -> dict[tuple[str, str], list[str]]:
    parts: dict[tuple[str, str], list[str]] = {("title", ""): [text.title]}
    for section in text.sections:
        parts["section", section.key] = _lines_of_section(section)
    for row in text.questions:
        blocks = ["blocks_care"] if row.blocks_care else []
        parts["question", row.purpose.value] = [row.question, row.if_refused, *blocks]
    parts["legal_basis", ""] = list(text.legal_basis)
    return parts


def _lines_of_section(section: TemplateSection) -> list[str]:
    lines = [section.title, *_sentences(section.body), *(f"#{tag}" for tag in section.statements)]
    if section.check is not None:
        check = section.check
        marks = ("*" if place == check.right else "-" for place in range(len(check.options)))
        lines += [
            check.question,
            *(f"{mark} {text}" for mark, text in zip(marks, check.options, strict=True)),
            check.explanation,
        ]
    return lines


def _sentences(body: str) -> list[str]:
    """A paragraph is one long line: cut after full stops, so that a diff shows the sentence that changed."""
    marked = body.replace("。", "。\n").replace("；", "；\n").replace(". ", ".\n")
    return [line.strip() for line in marked.splitlines() if line.strip()]


def _part(kind: str, key: str, old: Sequence[str] | None, new: Sequence[str] | None) -> Part:
    if old is None:
        return Part(kind, key, Sign.ADDED, tuple(Line(Sign.ADDED, line) for line in new or ()))
    if new is None:
        return Part(kind, key, Sign.REMOVED, tuple(Line(Sign.REMOVED, line) for line in old))
    lines: list[Line] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += [Line(Sign.SAME, line) for line in old[i1:i2]]
        else:
            lines += [Line(Sign.REMOVED, line) for line in old[i1:i2]]
            lines += [Line(Sign.ADDED, line) for line in new[j1:j2]]
    return Part(kind, key, Sign.SAME, tuple(lines))
