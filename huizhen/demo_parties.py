"""The demo's houses in the directory, and the agreements between them, sealed by their coordinators."""

from collections.abc import Mapping
from datetime import date, timedelta

from clinic.actor import Actor
from clinic.calendar import add_years
from clinic.documents import canonical, digest
from clinic.parties import agreements, directory, sealing
from clinic.parties.agreements import Terms
from clinic.parties.directory import NewEntry
from clinic.people import Role
from huizhen.demo_data import AGREED, HOUSES, House
from huizhen.store.database import SqlDatabase

_YEARS = 10


async def found_parties(db: SqlDatabase, institutions: Mapping[str, str], logins: Mapping[str, str]) -> None:
    """`institutions`: key -> id, `logins`: login -> staff id."""
    by = {
        house.key: Actor(logins[house.coordinator.login], institutions[house.key], (Role.COORDINATOR,))
        for house in HOUSES
    }
    async with db.begin() as tx:
        for house in HOUSES:
            await directory.keep_entry(tx, _entry(house), by[house.key])
    for number, (inviting, invited) in enumerate(AGREED, 1):
        async with db.begin() as tx:
            terms = _terms(number, by[inviting].institution_id, by[invited].institution_id, tx.now.date())
            drafted = await agreements.draft(tx, terms, by[inviting])
            words = digest(canonical(await sealing.words(tx, drafted)))
            for side in (by[inviting], by[invited]):
                await sealing.seal(tx, db.sealer, drafted.id, words, side)


def _entry(house: House) -> NewEntry:
    return NewEntry(
        tier=house.tier,
        region=house.region,
        departments=house.new.departments,
        accepts=True,
        contact_name=house.coordinator.name,
        contact_phone=house.new.phone,
    )


def _terms(number: int, inviting_id: str, invited_id: str, today: date) -> Terms:
    return Terms(
        inviting_id=inviting_id,
        invited_id=invited_id,
        number=f"江远协〔{today.year}〕{number}号",
        purpose="提高基层诊疗能力，让患者就近得到专家意见。",
        content=(
            "一、邀请方提出申请并提供完整病历资料，征得患者书面同意。\n"
            "二、受邀方在约定时限内答复，不能参加的说明理由。\n"
            "三、受邀方专家出具会诊意见并签名，由邀请方医师参考意见决定诊疗。\n"
            "四、双方分别保存会诊资料，并对患者信息保密。"
        ),
        kinds=("expert_consult", "remote_diagnosis"),
        liability="by_kind",
        liability_text="远程会诊由邀请方承担责任，远程诊断由双方共同承担；争议由邀请方所在地卫生健康行政部门处理。",
        fee_split="会诊费由邀请方收取，受邀方七成，邀请方三成，按季度结算。",
        valid_from=today,
        valid_to=add_years(today, _YEARS) - timedelta(days=1),
    )
