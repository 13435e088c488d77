"""What stands on the paper of each kind of act: a consent, a withdrawal, a child's assent, a witness, an emergency.

One function per kind, chosen by the evidence's type. Pure: same record, same form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from consent.records import ConsentRecord
from huizhen.evidence.phrases import Rows, label, local, spaced


@dataclass(frozen=True, slots=True)
class Source:
    """Everything a form is made from. `about`: evidence of the record this one speaks of; `names`: of staff, by id."""

    record: ConsentRecord
    evidence: Mapping[str, Any]
    say: Mapping[str, Any]
    zone: ZoneInfo
    shared_with: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def at(self) -> str:
        return local(self.record.recorded_at, self.zone)

    def person(self, staff_id: str) -> str:
        return self.names.get(staff_id, staff_id)

    def capacity(self, code: str) -> str:
        return label(self.say["capacities"], code)


@dataclass(frozen=True, slots=True)
class Form:
    """`headings`: words that read otherwise on this paper."""

    title: str
    signature: Rows
    lead: str = ""
    sections: list[dict[str, Any]] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    legal_basis: list[str] = field(default_factory=list)
    headings: Mapping[str, str] = field(default_factory=dict)


def form_of(source: Source) -> Form:
    """The form for the evidence's type; a type that has none of its own is a consent."""
    return _FORMS.get(str(source.evidence.get("type")), _consent)(source)


def _consent(source: Source) -> Form:
    record, evidence, say = source.record, source.evidence, source.say
    shown, signer = evidence["shown"], evidence["signer"]
    return Form(
        title=str(shown["title"]),
        sections=[_section(row["title"], row["body"]) for row in shown["sections"]],
        questions=_decisions(evidence, say),
        signature=[
            (say["name"], signer["typed_name"]),
            (say["capacity"], source.capacity(signer["capacity"])),
            (say["relation"], str(signer.get("relation") or "")),
            (say["assent"], say["assented"] if signer.get("child_assents") else ""),
            (say["method"], label(say["methods"], evidence["signature"]["method"])),
            (say["signed_at"], local(record.recorded_at, source.zone)),
            (say["identity"], f"L{signer['identity_level']}" if signer.get("identity_level") else ""),
            (say["shared_with"], say["comma"].join(source.shared_with)),
        ],
        legal_basis=[str(basis) for basis in shown["legal_basis"]],
    )


def _withdrawal(source: Source) -> Form:
    record, evidence, say = source.record, source.evidence, source.say
    return Form(
        title=say["withdrawn_title"],
        lead=say["withdrawn_lead"],
        questions=[_line(label(say["purposes"], each.value), say["withdrawn_answer"]) for each in record.permitted],
        signature=[
            (say["withdrawn_at"], source.at),
            (say["capacity"], source.capacity(record.capacity.value)),
            (say["withdrawn_reason"], str(evidence.get("reason") or "")),
            (say["withdrawn_by"], source.person(str(evidence.get("entered_by") or ""))),
            (say["withdraws"], record.withdraws or ""),
        ],
        headings={"decided": say["withdrawn"]},
    )


def _assent(source: Source) -> Form:
    """The child's own word: beside it what the guardian decided, which the child was shown too."""
    evidence, say, about = source.evidence, source.say, source.about
    guardian = about.get("signer", {})
    return Form(
        title=say["assent_title"],
        lead=say["assent_lead"].format(title=about.get("shown", {}).get("title", "")),
        questions=_decisions(about, say) if about else [],
        signature=[
            (say["assent_name"], str(evidence["typed_name"])),
            (say["assent_age"], str(evidence["age"])),
            (say["assent"], say["assented"]),
            (say["signed_at"], source.at),
            (say["assent_guardian"], str(guardian.get("typed_name") or "")),
            (say["relation"], str(guardian.get("relation") or "")),
            (say["assent_record"], str(evidence["record"])),
            (say["assent_record_digest"], spaced(str(evidence["record_digest"]))),
        ],
        legal_basis=[say["assent_basis"]],
        headings={"decided": say["assent_decided"]},
    )


def _witness(source: Source) -> Form:
    evidence, say = source.evidence, source.say
    witness = evidence["witness"]
    return Form(
        title=say["witness_title"],
        lead=say["witness_lead"],
        sections=[],
        signature=[
            (say["witness_signer"], str(evidence["signer_name"])),
            (say["capacity"], source.capacity(str(evidence["capacity"]))),
            (say["witness_basis"], label(say["bases"], str(evidence["basis"]))),
            (say["relation"], str(evidence.get("relation") or "")),
            (say["witness_document"], str(evidence["document"])),
            (say["witness_name"], str(witness["typed_name"])),
            (say["witness_role"], say["comma"].join(label(say["roles"], role) for role in witness["roles"])),
            (say["witness_at"], source.at),
        ],
        headings={"signature": say["witness_heading"]},
    )


def _emergency(source: Source) -> Form:
    record, evidence, say = source.record, source.evidence, source.say
    approver = evidence.get("approver") or {}
    basis = evidence["basis"]
    return Form(
        title=say["emergency_title"],
        lead=say["emergency_lead"],
        sections=[
            _section(say["emergency_reason"], str(evidence["reason"])),
            _section(say["emergency_tried"], str(evidence["tried"])),
        ],
        questions=[
            _line(label(say["purposes"], each.value), say["emergency_answer"], yes=True) for each in record.permitted
        ],
        signature=[
            (say["emergency_by"], str(approver.get("name") or source.person(str(evidence["approved_by"])))),
            (say["capacity"], source.capacity(record.capacity.value)),
            (say["emergency_at"], source.at),
            (say["shared_with"], say["comma"].join(source.shared_with)),
        ],
        legal_basis=[str(basis.get(say["lang"]) or basis["zh"])],
        headings={
            "shown": say["emergency_shown"],
            "shown_note": say["emergency_note"],
            "decided": say["emergency_decided"],
            "answer": "",
            "signature": say["emergency_heading"],
        },
    )


def _section(title: str, body: str) -> dict[str, Any]:
    return {"title": title, "parts": [part for part in body.split("\n") if part.strip()]}


def _line(text: str, answer: str, *, consequence: str = "", yes: bool = False) -> dict[str, Any]:
    return {"text": text, "consequence": consequence, "answer": answer, "yes": yes}


def _decisions(evidence: Mapping[str, Any], say: Mapping[str, Any]) -> list[dict[str, Any]]:
    decisions = evidence["decisions"]
    return [
        _line(
            row["question"],
            say["yes"] if decisions[row["purpose"]] else say["no"],
            consequence=row["if_refused"],
            yes=bool(decisions[row["purpose"]]),
        )
        for row in evidence["shown"]["questions"]
    ]


_FORMS: Mapping[str, Callable[[Source], Form]] = {
    "huizhen.consent-withdrawal": _withdrawal,
    "huizhen.consent-assent": _assent,
    "huizhen.consent-witness": _witness,
    "huizhen.consent-emergency": _emergency,
}
