"""What the verifier says."""

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[str, int, int], None]  # step, done, total

MAX_FINDINGS = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was recorded. `where` points at it: table and id, log and leaf, or file."""

    code: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} [{self.code}]"


@dataclass(slots=True)
class LogSummary:
    """One log as found. `roots` holds the recomputed root at each size somebody signed, and at the end."""

    origin: str
    institution_id: str
    epoch: int
    size: int = 0
    roots: dict[int, bytes] = field(default_factory=dict)
    first: dict[str, object] = field(default_factory=dict)  # leaf 0
    signed_size: int = 0  # largest size with a valid signature


@dataclass(slots=True)
class Report:
    """Empty findings = everything checked agrees. Remarks are facts worth knowing that are no contradiction."""

    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    logs: dict[str, LogSummary] = field(default_factory=dict)
    leaves: int = 0
    rows: int = 0
    files: int = 0
    file_bytes: int = 0
    seals: int = 0
    suppressed: int = 0  # findings beyond MAX_FINDINGS

    @property
    def ok(self) -> bool:
        return not self.findings

    def find(self, code: str, where: str, what: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(code, where, what))
        else:
            self.suppressed += 1

    def remark(self, text: str) -> None:
        if len(self.remarks) < MAX_FINDINGS:
            self.remarks.append(text)
