"""OperationOutcome: a refusal in FHIR's words, with our stable code beside them."""

from huizhen import reasons
from huizhen.fhir.terms import OWN, Resource, kept
from huizhen.problems import Problem

_CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    422: "invalid",
    429: "throttled",
    503: "transient",
}


def outcome(problem: Problem) -> Resource:
    """Never says more than the problem does; the words are those every page shows."""
    code = _CODES.get(problem.status, "exception" if problem.status >= 500 else "processing")
    details = {
        "coding": [{"system": f"{OWN}:code", "code": problem.code}],
        "text": reasons.words("zh").get(problem.code) or problem.code,
    }
    issue = {
        "severity": "error",
        "code": code,
        "details": details,
        "diagnostics": reasons.words("en").get(problem.code),
        "expression": [problem.field] if problem.field else None,
    }
    return {"resourceType": "OperationOutcome", "issue": [kept(issue)]}
