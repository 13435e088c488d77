"""What a text must say before it may be published: coded statement tags, and words a tag cannot be true without."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from consent.records import Purpose, PurposeQuestion, TemplateSection

_RECORDING = "recording_what recording_why recording_who recording_kept"
_VISIT = (
    f"provider scope limits emergency fee identity recipients {_RECORDING} supervision rights withdrawal "
    "alternatives prescription minors ai residency choices"
)
FEWEST_OPTIONS = 2
STATEMENTS: Mapping[str, tuple[str, ...]] = {  # required statements by tag, domain-rules section 6
    "visit.patient": tuple(_VISIT.split()),
    "panel.patient": (*_VISIT.split(), "sharing", "responsibility"),
    "advice.patient": (*_VISIT.split(), "no_diagnosis"),
    "family.patient": (*_VISIT.split(), "agreement"),
    "diagnosis.patient": (*_VISIT.split(), "sharing", "responsibility", "report"),
    "visit.guest": ("role", "confidentiality", *_RECORDING.split(), "rights", "withdrawal", "choices"),
}
QUESTIONS: Mapping[str, tuple[Purpose, ...]] = {  # asked of everybody, in this order, before any other
    "visit.patient": (Purpose.TREAT, Purpose.REC_AV),
    "panel.patient": (Purpose.TREAT, Purpose.SHARE_PANEL, Purpose.REC_AV),
    "advice.patient": (Purpose.TREAT, Purpose.REC_AV),
    "family.patient": (Purpose.TREAT, Purpose.REC_AV),
    "diagnosis.patient": (Purpose.TREAT, Purpose.SHARE_PANEL, Purpose.REC_AV),
    "visit.guest": (Purpose.REC_AV,),
}
OPTIONAL: Mapping[str, frozenset[Purpose]] = {  # asked where the institution or the doctor asks for them
    key: frozenset(Purpose) - {Purpose.TREAT, Purpose.SHARE_PANEL, Purpose.REC_AV} for key in QUESTIONS
} | {"visit.guest": frozenset({Purpose.AI_TRANSCRIBE, Purpose.TEACH})}
MUST_SAY: Mapping[str, tuple[str, ...]] = {  # a tag is worth nothing without these in the section that bears it
    "provider": ("{institution}", "{doctor}", "{licence}"),
    "emergency": ("120",),
    "fee": ("{fee}",),
    "recording_kept": ("{retention_years}",),
    "rights": ("{phone}",),
    "sharing": ("{shared_with}",),
    "report": ("{shared_with}",),
    "agreement": ("{institution}",),
}
NAMES: Mapping[Purpose, str] = {  # what a question has to name
    Purpose.SHARE_PANEL: "{shared_with}",
    Purpose.RESEARCH: "{ethics_id}",
    Purpose.XBORDER: "{abroad}",
}


class Text(Protocol):
    """A wording, a draft or a template."""

    @property
    def key(self) -> str: ...

    @property
    def sections(self) -> tuple[TemplateSection, ...]: ...

    @property
    def questions(self) -> tuple[PurposeQuestion, ...]: ...

    @property
    def legal_basis(self) -> tuple[str, ...]: ...


def lacking(text: Text, may_block: Collection[Purpose]) -> tuple[str, ...]:
    """Everything that keeps the text from publication, as "what:which". `text.key` is one of `STATEMENTS`."""
    return (
        *(f"statement:{tag}" for tag in STATEMENTS[text.key] if not _says(text.sections, tag)),
        *_faults_of_sections(text.sections),
        *_faults_of_questions(text, may_block),
        *(() if any(basis.strip() for basis in text.legal_basis) else ("legal_basis:missing",)),
    )


def _says(sections: Sequence[TemplateSection], tag: str) -> bool:
    bearing = [section for section in sections if tag in section.statements and section.title.strip()]
    said = " ".join(section.body for section in bearing)
    return bool(said.strip()) and all(words in said for words in MUST_SAY.get(tag, ()))


def _faults_of_sections(sections: Sequence[TemplateSection]) -> list[str]:
    faults = [f"section:{row.key}" for row in sections if not (row.title.strip() and row.body.strip())]
    keys = [section.key for section in sections]
    faults += [f"section_twice:{key}" for key in dict.fromkeys(keys) if keys.count(key) > 1]
    checks = [section for section in sections if section.check is not None]
    if len(checks) != 1:
        faults.append("comprehension:missing" if not checks else "comprehension:several")
    for section in checks:
        check = section.check
        assert check is not None
        texts = (check.question, check.explanation, *check.options)
        if (
            not all(each.strip() for each in texts)
            or not 0 <= check.right < len(check.options)
            or len(check.options) < 2
        ):
            faults.append(f"comprehension:{section.key}")
    return faults


def _faults_of_questions(text: Text, may_block: Collection[Purpose]) -> list[str]:
    faults = []
    purposes = [question.purpose for question in text.questions]
    base = QUESTIONS[text.key]
    faults += [f"question:{purpose}" for purpose in base if purpose not in purposes]
    if not faults and tuple(purposes[: len(base)]) != base:
        faults.append("question_order:base")
    faults += [f"question_not_here:{each}" for each in purposes if each not in base and each not in OPTIONAL[text.key]]
    faults += [f"question_twice:{each}" for each in dict.fromkeys(purposes) if purposes.count(each) > 1]
    for question in text.questions:
        if not question.question.strip() or not question.if_refused.strip():
            faults.append(f"question_empty:{question.purpose}")
        if question.blocks_care and question.purpose not in may_block:
            faults.append(f"blocks_care:{question.purpose}")
        if NAMES.get(question.purpose, "") not in question.question:
            faults.append(f"question_names:{question.purpose}")
    return faults
