"""Renew the table of states in docs/panels.md from the code: `python -m tests.docs.render_panels`."""

from clinic.panels.requests import PARTY_MOVES, REQUEST_MOVES
from tests.docs.inventory import DOCS

BEGIN = "<!-- states: begin (python -m tests.docs.render_panels) -->\n"
END = "<!-- states: end -->"
ZH = {
    "draft": "草稿", "sent": "已发出", "triaged": "已分诊", "convened": "已召集", "declined": "无人参加",
    "withdrawn": "已撤回", "expired": "已到期", "named": "已写明", "asked": "已邀请", "proposed": "另提时间",
    "accepted": "接受", "refused": "不参加", "released": "不再需要",
}  # fmt: skip


def renewed(text: str) -> str:
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END, 1)[1]


def table() -> str:
    lines = ["| of | state | 状态 | may become |\n", "|---|---|---|---|\n"]
    for of, moves in (("request", REQUEST_MOVES), ("institution", PARTY_MOVES)):
        for state, to in moves.items():
            becomes = ", ".join(f"`{each}`" for each in sorted(to)) or "-"
            lines.append(f"| {of} | `{state}` | {ZH[state]} | {becomes} |\n")
    return "".join(lines)


if __name__ == "__main__":
    path = DOCS / "panels.md"
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
