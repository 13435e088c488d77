"""What a doctor does rarely and must not get wrong: turn somebody away, stop an unsuitable visit, cancel a booking."""

import pytest
from playwright.async_api import expect

from tests.e2e.house import House, button, picture, visitors
from tests.e2e.visit import guest, visit

pytestmark = pytest.mark.browser


async def test_turned_away_then_referred_to_a_hospital(house: House) -> None:
    async with visit(house) as call:
        family = await guest(call.people, "visit.family")
        await button(call.doctor, "consult:people.deny").click()
        confirm = call.doctor.locator("dialog[open] .danger")
        await expect(confirm).to_be_disabled()  # a reason first
        await call.doctor.select_option("dialog[open] select", "not_invited")
        await confirm.click()
        await expect(family.locator(".place")).to_have_count(0)

        await call.doctor.click("[data-act=terminate]")
        await call.doctor.select_option("dialog[open] select", "needs_examination")
        await expect(confirm).to_be_disabled()  # and advice
        await call.doctor.fill("textarea[name=advice]", "请今天到心血管内科门诊做心电图检查。")
        await confirm.click()
        await expect(call.doctor.locator(".stage")).to_have_count(0)
        await expect(call.doctor.locator(".head .hz-tag.bad")).to_be_visible()
        await expect(call.patient.locator("[data-testid=room]")).to_have_count(0)
        assert call.rows("SELECT status, outcome_code FROM consults WHERE id = ?") == [
            ("terminated_unsuitable", "needs_examination")
        ]


# The administrator's own page changes a colleague: what the staff page's form would send.
EXPIRE = """async login => {
  const me = await (await fetch('/api/me')).json();
  const all = (await (await fetch('/api/admin/staff')).json()).items;
  const op = [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
  const body = JSON.stringify({op, licence_valid_to: '2020-01-01'});
  const headers = {'Content-Type': 'application/json', 'X-CSRF': me.csrf};
  const path = '/api/admin/staff/' + all.find(one => one.login === login).id;
  return (await fetch(path, {method: 'PUT', headers, body})).status;
}"""


async def test_refused_at_the_door_with_rule_and_citation(house: House) -> None:
    """The doctor's licence runs out during the visit: nobody more is admitted, and the page says by which rule."""
    async with visit(house) as call:
        await guest(call.people, "visit.family")
        admin = await call.people.staff("admin")
        assert await admin.evaluate(EXPIRE, "doctor") == 200
        await call.doctor.click("[data-act=admit]")
        refusal = call.doctor.locator(".notices [role=alert]")
        await expect(refusal).to_contain_text("不能接诊张丽")
        await expect(refusal).to_contain_text("CN-")
        await picture(call.doctor, "admit-refused")
        await button(call.doctor, "consult:admitting.seeRules").click()
        await expect(call.doctor.locator("#papers-panel .hz-notice.bad")).to_be_visible()


@pytest.mark.beside
async def test_booking_cancelled_with_a_reason(house: House) -> None:
    async with visitors(house) as people:
        doctor = await people.staff("doctor")
        await doctor.goto(f"{house.url}/console/consults/{house.demo['consults']['visit']}")
        await button(doctor, "consult:cancel").click()
        await doctor.select_option("dialog[open] select", "patient_asked")
        await doctor.locator("dialog[open] .danger").click()
        await expect(doctor.locator("[data-act=join]")).to_have_count(0)
        await expect(doctor.get_by_text("已取消", exact=True)).to_be_visible()
