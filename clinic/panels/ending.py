"""A panel that met and was ended before it could close: what is said of it, and of what was signed until then. Pure."""

from typing import Any

from clinic.consult import Consult, ConsultStatus
from clinic.panels.counting import PanelPapers
from clinic.panels.records import Opinion
from clinic.rulebook import RuleSet

_SAID = {
    "zh": "会诊提前终止，原因：{reason}。{rest}",
    "en": "The consult was ended early; reason: {reason}. {rest}",
}
_NOTHING = {
    "zh": "终止时没有专家签署意见，没有会诊意见书。",
    "en": "No expert had signed an opinion by then; there is no opinion paper.",
}
_SOMETHING = {
    "zh": "这里只有终止以前签署的文书，此后没有再签署。",
    "en": "Here is only what was signed before; nothing was signed afterwards.",
}


def ended_early(consult: Consult) -> bool:
    """Over, and not closed with its papers (CN-09 is the way a panel that met gets there)."""
    return consult.over and consult.status is not ConsultStatus.CLOSED


def met(consult: Consult, papers: PanelPapers) -> bool:
    """People met in the room, or an expert signed."""
    return consult.opened_at is not None or any(row.signed_at for row in papers.opinions)


def signed_until(papers: PanelPapers) -> tuple[Opinion, ...]:
    """What stands at the end: the opinions that count, and a trainee's that no senior has answered (HZ-27)."""
    return (*papers.counted, *papers.to_countersign)


def told(consult: Consult, papers: PanelPapers, rules: RuleSet) -> dict[str, Any]:
    """The end in words, in both languages, as the rules of that day name its reason."""
    words = rules.rules["CN-09"].codes.get(consult.outcome_code or "")
    code = consult.outcome_code or str(consult.status)
    reason = {"zh": code, "en": code} if words is None else {"zh": words.zh, "en": words.en}
    rest = _SOMETHING if signed_until(papers) else _NOTHING
    return {
        "as": consult.status,
        "code": consult.outcome_code or "",
        "at": consult.closed_at,
        "said": {each: _SAID[each].format(reason=reason[each], rest=rest[each]) for each in ("zh", "en")},
    }
