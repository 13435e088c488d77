"""The rules of a consult at the console and on the patient page: the verdict, and what people vouch for."""

from clinic import attesting, safety
from clinic.roles import Action
from clinic.rulebook import Rule
from huizhen.api.call import Call
from huizhen.api.consults import detail_of, reader_of
from huizhen.api.detail import may_open
from huizhen.api.route import Own, Route, Table, Unit, seat, staff
from huizhen.api.shapes.base import Accepted, Label, NoBody
from huizhen.api.shapes.consult import ConsultDetail
from huizhen.api.shapes.gates import (
    AttestBody,
    Explained,
    GateView,
    LayerView,
    StageQuery,
    ValueView,
    WhereaboutsBody,
    WhereaboutsView,
)
from huizhen.explaining import Explanation, explained
from signaling import seen

# -- the verdict ---------------------------------------------------------------------------------------------------


async def admission(call: Call[NoBody]) -> Explained:
    """Every gate of the consult's kind, as the patient's reception (or another stage) would meet it now."""
    consult = await call.tx.consults.get(call.path("consult"))
    await may_open(call.tx, consult, reader_of(call))
    return explained_view(await explained(call.tx, consult, call.now, call.query.stage, call.services.live))


def explained_view(found: Explanation) -> Explained:
    rules, verdict = found.rules, found.verdict
    return Explained(
        allowed=verdict.allowed,
        stage=verdict.stage,
        rules_version=verdict.rules_version,
        layers=[
            LayerView(version=each.version, kind=each.kind, title=Label(zh=each.title.zh, en=each.title.en))
            for each in found.layers
        ],
        gates=[
            GateView(
                rule=gate.rule,
                state=gate.state,
                codes=list(gate.codes),
                text=_text(rules.rules[gate.rule]),
                citation=_citation(rules.rules[gate.rule]),
                values=[ValueView(name=name, value=used.value, layer=used.layer) for name, used in gate.values.items()],
                read=list(gate.read),
                notice=gate.notice,
            )
            for gate in verdict.gates
        ],
    )


def _text(rule: Rule) -> Label:
    return Label(zh=rule.text, en=rule.text_en)


def _citation(rule: Rule) -> Label:
    return Label(zh=rule.citation, en=rule.citation_en)


# -- facts of one consult ------------------------------------------------------------------------------------------


async def attest(call: Call[AttestBody]) -> ConsultDetail:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await attesting.attest(
            tx, call.services.sealer, consult_id, call.body.evidence_id, call.body.diagnosis, call.actor
        )
    await seen.recheck(call.services.live, call.me.institution_id)
    async with call.services.db.begin() as tx:
        call.transaction = tx
        return await detail_of(call, consult_id)


def _place(body: WhereaboutsBody) -> safety.Place:
    return safety.Place(body.location, body.contact_name, body.contact_phone)


async def tell_whereabouts(call: Call[WhereaboutsBody]) -> Accepted:
    """By staff who asked the patient."""
    consult_id = call.path("consult")
    await safety.tell_whereabouts(call.tx, call.services.locker, consult_id, _place(call.body), call.actor)
    return Accepted()


async def tell_my_whereabouts(call: Call[WhereaboutsBody]) -> Accepted:
    """By the patient, or whoever holds a seat beside them."""
    consult_id = call.seat.seat.consult_id
    await safety.tell_whereabouts(call.tx, call.services.locker, consult_id, _place(call.body), call.actor)
    return Accepted()


async def read_whereabouts(call: Call[NoBody]) -> WhereaboutsView:
    place = await safety.read_whereabouts(call.tx, call.services.locker, call.path("consult"), call.actor)
    if place is None:
        return WhereaboutsView()
    return WhereaboutsView(location=place.location, contact_name=place.contact_name, contact_phone=place.contact_phone)


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/consults/{consult}/admission",
        handler=admission,
        policy=staff(Action.SEE_CHART, Action.BOOK, Action.ANSWER_INVITATION, own=Own.CONSULT),
        answer=Explained,
        query=StageQuery,
        summary="Why this consult may or may not open, gate by gate",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/attestation",
        handler=attest,
        policy=staff(Action.SIGN_NOTE, own=Own.CONSULT),
        body=AttestBody,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="The doctor signs that this is a re-visit",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/whereabouts",
        handler=read_whereabouts,
        policy=staff(Action.SEE_CHART, own=Own.CONSULT),
        answer=WhereaboutsView,
        unit=Unit.WRITE,
        claims=False,
        summary="Where the patient is and whom to call; the reading is on record",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/whereabouts",
        handler=tell_whereabouts,
        policy=staff(Action.TELL_WHEREABOUTS, own=Own.CONSULT),
        body=WhereaboutsBody,
        answer=Accepted,
        unit=Unit.WRITE,
        summary="What the patient said on being asked",
    ),
    Route(
        method="POST",
        path="/api/seat/whereabouts",
        handler=tell_my_whereabouts,
        policy=seat(Own.SELF, Action.TELL_WHEREABOUTS),
        body=WhereaboutsBody,
        answer=Accepted,
        unit=Unit.WRITE,
        summary="Where I am and whom to call",
    ),
)
