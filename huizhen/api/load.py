"""Statistics of requests, the week of both sides, and the load of the house's experts: for coordinators."""

from typing import Any

from clinic.overlays import rules_for
from clinic.panels import load
from clinic.panels.statistics import Refusals, Tally
from clinic.roles import Action
from clinic.rulebook import RuleSet
from huizhen.api import render
from huizhen.api.call import Call
from huizhen.api.parties import party_name
from huizhen.api.request_views import request_row
from huizhen.api.route import Own, Route, Table, staff
from huizhen.api.shapes.base import Items, Label, NoBody
from huizhen.api.shapes.load import (
    LoadRow,
    PairRow,
    ReasonCount,
    SideQuery,
    SpanQuery,
    StatisticsAnswer,
    TallyRow,
    WeekRow,
    WordsCount,
)
from huizhen.store.tables import StoreTransaction


async def statistics(call: Call[NoBody]) -> StatisticsAnswer:
    side = call.query.side
    found = await load.statistics(call.tx, side, call.actor)
    rules = rules_for(await call.tx.institutions.get(call.me.institution_id), call.now)
    return StatisticsAnswer(
        side=side,
        states=dict(found.states),
        whole=TallyRow(**_tally(found.whole)),
        months=[TallyRow(**_tally(each)) for each in found.months],
        pairs=[await _pair(call.tx, each) for each in found.pairs],
        reasons=[_reason(each, rules) for each in found.reasons],
    )


def _reason(found: Refusals, rules: RuleSet) -> ReasonCount:
    words = rules.rules["HZ-19"].codes.get(found.code)
    return ReasonCount(
        code=found.code,
        label=Label(zh=words.zh, en=words.en) if words is not None else None,
        count=found.count,
        said=[WordsCount(reason=reason, count=count) for reason, count in found.said],
    )


def _tally(found: Tally) -> dict[str, Any]:
    return {
        "key": found.key[0] if len(found.key) == 1 else "",
        "requests": found.requests,
        "urgent": found.urgent,
        "outcomes": dict(found.outcomes),
        "answers": found.times.count,
        "median_seconds": found.times.median,
        "p90_seconds": found.times.p90,
    }


async def _pair(tx: StoreTransaction, found: Tally) -> PairRow:
    inviting, invited = found.key
    return PairRow(
        **_tally(found),
        inviting=party_name(await tx.institutions.get(inviting)),
        invited=party_name(await tx.institutions.get(invited)),
    )


async def week(call: Call[NoBody]) -> Items[WeekRow]:
    lines = await load.week(call.tx, call.query.since, call.query.until, call.actor)
    home = call.me.institution_id
    return Items(
        items=[
            WeekRow(ours=line.request.institution_id == home, row=await request_row(call.tx, line)) for line in lines
        ]
    )


async def loads(call: Call[NoBody]) -> Items[LoadRow]:
    found = await load.load(call.tx, call.query.since, call.query.until, call.actor)
    return Items(
        items=[
            LoadRow(
                expert=render.doctor_row(each.expert),
                asked=each.asked,
                accepted=each.accepted,
                minutes=each.minutes,
                chaired=each.chaired,
            )
            for each in found
        ]
    )


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/requests/statistics",
        handler=statistics,
        policy=staff(Action.SEE_STATISTICS, own=Own.HOUSE),
        query=SideQuery,
        answer=StatisticsAnswer,
        summary="Figures of requests from my institution, or to it",
    ),
    Route(
        method="GET",
        path="/api/requests/week",
        handler=week,
        policy=staff(Action.SEE_REQUESTS, own=Own.HOUSE),
        query=SpanQuery,
        answer=Items[WeekRow],
        summary="Panels of both sides that stand in this time",
    ),
    Route(
        method="GET",
        path="/api/requests/load",
        handler=loads,
        policy=staff(Action.SEE_STATISTICS, own=Own.HOUSE),
        query=SpanQuery,
        answer=Items[LoadRow],
        summary="The load of each expert of my institution",
    ),
)
