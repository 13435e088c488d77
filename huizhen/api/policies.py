"""The institution's own recording policies (HZ-17): read and changed by its administrator, within the rules."""

from clinic.overlays import rules_for
from clinic.people import Institution
from clinic.roles import Action
from clinic.rulebook import RuleSet
from consent import house_policies
from consent.gate import RecordingPolicy
from consent.house_policies import BASIS, CHOICES, RULE, Answer, Source
from huizhen.api.call import Call
from huizhen.api.names import who
from huizhen.api.route import B, Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Label, NoBody
from huizhen.api.shapes.policies import PoliciesBody, PoliciesView, PolicyOption, PolicyRow, PolicyVersionRow
from huizhen.services import Services


async def show(call: Call[NoBody]) -> PoliciesView:
    return await _view(call)


async def change(call: Call[PoliciesBody]) -> PoliciesView:
    """Committed, then the running server judges by it: the next grant, the next door, the next withdrawal."""
    services, body = call.services, call.body
    async with services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await house_policies.change(tx, dict(body.values), body.reason, call.actor)
    await reread(services, call.me.institution_id)
    async with services.db.read() as tx:
        call.transaction = tx
        return await _view(call)


async def reread(services: Services, institution_id: str) -> None:
    """After a commit that changes what a house decided, or which province's rules bind it."""
    if services.live.policies is not None:
        await services.live.policies.load(services.db, institution_id)


async def _view(call: Call[B]) -> PoliciesView:
    tx, default = call.tx, call.services.live.policy
    house = await tx.institutions.get(call.me.institution_id)
    rules = rules_for(house, tx.now)
    versions = await house_policies.versions(tx, house.id)
    own = dict(versions[-1].values) if versions else {}
    rule = rules.rules[RULE]
    return PoliciesView(
        number=len(versions),
        items=[_row(name, own, default, house, rules) for name in CHOICES],
        rule=RULE,
        layer=rules.layer(RULE, "late_joiner_wait"),
        text=Label(zh=rule.text, en=rule.text_en),
        citation=Label(zh=rule.citation, en=rule.citation_en),
        history=[
            PolicyVersionRow(
                number=row.number,
                values=dict(row.values),
                reason=row.reason,
                who=await who(tx, row.set_by),
                set_at=row.set_at,
            )
            for row in reversed(versions)
        ],
    )


def _row(name: str, own: dict[str, str], default: RecordingPolicy, house: Institution, rules: RuleSet) -> PolicyRow:
    left = house_policies.allowed(rules, name)
    if name == BASIS:
        usual, holds = None, Answer(house.recording_basis, Source.HOUSE, left)
    else:
        usual = str(getattr(default, name))
        holds = house_policies.answer(name, own.get(name), usual, rules)
    options = [PolicyOption(value=option, allowed=option in left) for option in CHOICES[name]]
    return PolicyRow(name=name, value=holds.value, source=holds.source, default=usual, options=options)


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/admin/policies",
        handler=show,
        policy=staff(Action.ADMINISTER, own=Own.HOUSE),
        answer=PoliciesView,
        summary="What the house decides itself about recording, and within what",
    ),
    Route(
        method="PUT",
        path="/api/admin/policies",
        handler=change,
        policy=staff(Action.ADMINISTER, own=Own.HOUSE),
        body=PoliciesBody,
        answer=PoliciesView,
        unit=Unit.NONE,
        summary="A new version of the house's answers, with a reason",
    ),
)
