"""Whether a text tries to be a prescription (CN-11): a dose with its frequency, or the head of one. Pure.

It finds what a hurried doctor writes into a free field, not what a determined one hides; the prescribing system is the
only place whose words a pharmacist sees. "Continue the tablets" and a blood pressure are no prescription.
"""

import re

_DOSE = r"\d+(?:\.\d+)?\s*"
_ANY_UNIT = r"(?:mg|mcg|[uμ]g|g|ml|iu|毫克|微克|克|毫升|单位|片|粒|支|袋|丸|滴|tablets?|capsules?|drops?)"
_DRUG_UNIT = r"(?:mg|mcg|[uμ]g|iu|毫克|微克|单位|片|粒|支|袋|丸|滴|tablets?|capsules?|drops?)"
_LATIN = r"(?<![a-z])(?:qd|bid|tid|qid|qn|qod|prn|q\d{1,2}h)(?![a-z])"
_OFTEN = (
    r"(?:每[日天晚早]|[一每]日\s*[一二三四两\d]+\s*次|\d+\s*次\s*[/每]\s*[日天]|每\s*\d+\s*小时|每次|"
    r"once|twice|daily|times? (?:a|per) day|every \d+ hours)"
)
_NEAR = r"[^。；;\n]{0,24}?"
_HEAD = re.compile(r"(?:^|[\s,，。;；])rp?\s*[.:：]|处方\s*[:：]|prescription\s*:", re.IGNORECASE)
_BODY = re.compile(
    "|".join(
        f"{first}{_NEAR}{second}"
        for unit, often in ((_ANY_UNIT, _LATIN), (_DRUG_UNIT, _OFTEN))
        for first, second in ((_DOSE + unit + r"(?![a-z/])", often), (often, _DOSE + unit + r"(?![a-z/])"))
    ),
    re.IGNORECASE,
)


def prescribes(text: str) -> bool:
    """True for "氨氯地平 5mg qd" or "1 tablet twice daily"; False for "继续服药" or "血压 150/90 mmHg"."""
    return bool(_HEAD.search(text) or _BODY.search(text))
