"""The table of docs/errors.md, made of the code base and of the words clients are shown.

python -m tests.docs.render_errors      rewrites the table between its two marks
"""

from huizhen import reasons
from huizhen.problems import CODED, OTHERWISE, STATUS, RequestError
from tests.docs.inventory import DOCS, codes, error_classes

BEGIN, END = "<!-- codes: begin (python -m tests.docs.render_errors) -->", "<!-- codes: end -->"
# Raised while starting or on the command line, told in the terminal; no request meets them.
_AT_START = frozenset(
    {
        "archive.policies_invalid",
        "audit.bad_note",
        "media.bad_address",
        "media.port_taken",
        "recording.not_sealed",
        "rules.invalid",
        "store.schema_outdated",
    }
)
_INSIDE = frozenset({"media.dtls_failed", "media.srtp_refused", "media.srtp_setup", "recording.wire_damaged"})
_WHIP = {"input.content_type": 415, "input.too_large": 413, "media.no_patch": 405}


def where(code: str) -> str:
    """The HTTP status of a code, or the place where it is met instead."""
    if code.startswith(("gate.", "rec.", "panel.")):
        return "`reasons`"
    if code in _WHIP:
        return f"{_WHIP[code]} (WHIP)"
    if code in _AT_START:
        return "start"
    if code in _INSIDE:
        return "inside"
    if code in STATUS:
        return str(STATUS[code])
    classes = error_classes().get(code, ())
    if code.startswith(("session.", "server.")) and code != "session.required":
        return "start" if code == "server.in_use" else "ack"
    if any(issubclass(each, (*CODED, RequestError)) for each in classes):
        return str(OTHERWISE)
    return "start"


def table() -> str:
    """Every code with its words, in the order of the alphabet."""
    chinese, english = reasons.words("zh"), reasons.words("en")
    lines = ["| code | where | 说明 | meaning |", "|---|---|---|---|"]
    for code in sorted(codes()):
        lines.append(f"| `{code}` | {where(code)} | {chinese.get(code, '')} | {english.get(code, '')} |")
    return "\n".join(lines) + "\n"


def renewed(text: str) -> str:
    """The page with a fresh table."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    file = DOCS / "errors.md"
    file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8")
