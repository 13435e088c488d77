"""An institution's own recording policies: what holds, where it comes from, what may be chosen."""

from typing import Annotated

from pydantic import Field

from consent.house_policies import Source
from huizhen.api.shapes.base import Answer, Body, Code, Label, Moment, Reason


class PolicyOption(Answer):
    value: str
    allowed: bool


class PolicyRow(Answer):
    """`default`: the installation's setting; None where there is none."""

    name: str
    value: str
    source: Source
    default: str | None
    options: list[PolicyOption]


class PolicyVersionRow(Answer):
    number: int
    values: dict[str, str]
    reason: str
    who: str
    set_at: Moment


class PoliciesView(Answer):
    number: int  # of the version in force; 0 = none of its own yet
    items: list[PolicyRow]
    rule: str
    layer: str
    text: Label
    citation: Label
    history: list[PolicyVersionRow]


class PoliciesBody(Body):
    """`values`: name to option, null gives the answer back to the installation. Those left out stay."""

    values: Annotated[dict[Code, Code | None], Field(min_length=1, max_length=20)]
    reason: Reason
