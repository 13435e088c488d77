"""The patient page: who am I, what do I decide, may I come in, what became of it."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import visit
from clinic.consult import Consult, Seat
from clinic.overlays import rules_for
from clinic.panels import in_writing
from clinic.people import Role
from clinic.roles import Action
from consent import asking, companions, desk, due, languages, speech
from consent.errors import SignatureInvalid
from consent.records import ConsentRecord, Purpose, SignerCapacity
from consent.signing import LocaleSwitch, SectionReading
from consent.standing import Standing, required_purposes
from huizhen import masks
from huizhen.api import render
from huizhen.api.after import after_visit
from huizhen.api.call import DEVICE_COOKIE, Call
from huizhen.api.route import Own, Route, Table, Unit, public, seat
from huizhen.api.shapes.base import Empty, NoBody
from huizhen.api.shapes.seat import (
    AfterVisit,
    Confirm,
    ConsentCard,
    ConsentQuery,
    ConsultCard,
    DeviceCheck,
    DoctorCard,
    HelperCard,
    InstitutionCard,
    Opened,
    PatientCard,
    PresentedConsent,
    Question,
    Redeem,
    SeatCard,
    SeatOverview,
    Section,
    SignConsent,
    Signer,
    TicketAnswer,
    WithdrawConsent,
)
from huizhen.api.templates import text_view
from huizhen.auth.links import SeatCaller
from huizhen.store.tables import StoreTransaction
from huizhen.tokens import TICKET_SECONDS
from signaling import admittance, consenting

_PNG = b"\x89PNG\r\n\x1a\n"
_PREFIX = "data:image/png;base64,"


async def overview_of(tx: StoreTransaction, caller: SeatCaller) -> SeatOverview:
    """What the patient page shows about one seat. The patient's name is masked: others may open a link."""
    seat = await tx.seats.get(caller.seat.id)
    consult = await tx.consults.get(seat.consult_id)
    house = await tx.institutions.get(consult.institution_id)
    doctor = await tx.staff.get(consult.doctor_id)
    patient = await tx.patients.get(consult.patient_id)
    records = await desk.records_of(tx, consult.id)
    return SeatOverview(
        seat=SeatCard(
            id=seat.id,
            role=seat.role,
            display_name=masks.name(seat.display_name) if seat.role is Role.PATIENT else seat.display_name,
            state=seat.state,
            relation=seat.relation,
        ),
        patient=PatientCard(masked_name=masks.name(patient.name)),
        consult=ConsultCard(
            id=consult.id,
            kind=consult.kind,
            status=consult.status,
            starts_at=consult.starts_at,
            ends_at=consult.ends_at,
            opens_at=consult.starts_at - rules_for(house, tx.now).minutes("HZ-01", "early_minutes"),
            in_writing=await in_writing.of(tx, consult.id) is not None,
            reason=consult.reason if seat.role is Role.PATIENT else None,
        ),
        doctor=DoctorCard(
            name=doctor.name,
            name_en=doctor.name_en,
            title=doctor.title,
            licence_number=doctor.licence_number,
            department=consult.department,
            department_label=render.department(consult.department),
        ),
        institution=InstitutionCard(
            id=house.id, name=house.name, name_en=house.name_en, phone=house.phone, time_zone=house.time_zone
        ),
        fee_cents=consult.fee_cents,
        identity_confirmed=caller.device.identity_confirmed_at is not None,
        device_checked=caller.device.device_checked_at is not None,
        consent=await consent_card(tx, consult, seat, records, house.recording_basis),
        helper=helper_card(companions.helping(await tx.companions.find(consult_id=consult.id), seat.id)),
        csrf=caller.csrf,
        server_time=tx.now,
    )


async def consent_card(
    tx: StoreTransaction, consult: Consult, seat: Seat, records: Sequence[ConsentRecord], basis: str
) -> ConsentCard:
    """`complete`: nothing is left to decide, not even anew, and what the visit needs is permitted."""
    standing = await asking.outstanding(tx, consult, seat, records)
    again = await due.due(tx, consult, seat, records)
    decided = all(each is not Standing.UNDECIDED for each in standing.values())
    needed = required_purposes(consult.kind, seat.role, basis)
    said_no = (Standing.REFUSED, Standing.WITHDRAWN)
    return ConsentCard(
        complete=decided and not again and all(standing.get(purpose) is Standing.PERMITTED for purpose in needed),
        standing=standing,
        again=[change for ask in again for change in ask.because],
        offline_visit=Purpose.REC_AV in needed and standing.get(Purpose.REC_AV) in said_no,
        reads=languages.reads(await tx.language_notes.find(consult_id=consult.id), seat.id),
    )


def helper_card(row: companions.Companion | None) -> HelperCard | None:
    if row is None:
        return None
    return HelperCard(
        name=row.name, relation=row.relation, in_call=row.in_call, permits_recording=row.permits_recording
    )


async def redeem(call: Call[Redeem]) -> Opened:
    former = call.request.cookies.get(DEVICE_COOKIE)
    services = call.services
    redeemed = await services.link_door.redeem(call.body.secret, call.body.second_factor, call.source, former)
    call.set_cookie(DEVICE_COOKIE, redeemed.cookie, services.settings.device_days * 86_400)
    async with services.db.read() as tx:
        return Opened(csrf=redeemed.caller.csrf, seat=await overview_of(tx, redeemed.caller))


async def overview(call: Call[NoBody]) -> SeatOverview:
    return await overview_of(call.tx, call.seat)


async def confirm_identity(call: Call[Confirm]) -> SeatOverview:
    """The person says "this is me". The identity level was settled at booking; this changes none of it."""
    seat = call.seat.seat
    device = await call.tx.device_sessions.get(call.seat.device.id)
    device = replace(device, identity_confirmed_at=call.tx.now)
    await call.tx.device_sessions.save(device)
    await call.tx.append(
        AuditEvent(
            EventCode.IDENTITY_CONFIRMED,
            seat.institution_id,
            seat.id,
            seat.consult_id,
            seat.id,
            public={"method": "self_declared"},
        )
    )
    return await overview_of(call.tx, replace(call.seat, device=device))


async def check_device(call: Call[DeviceCheck]) -> SeatOverview:
    body = call.body
    found: dict[str, str | int] = {
        "camera": body.camera,
        "microphone": body.microphone,
        "speaker": body.speaker,
        "network": body.network,
        "rtt_ms": int(body.rtt_ms),
        "kbps": int(body.kbps),
    }
    device = await call.tx.device_sessions.get(call.seat.device.id)
    device = replace(device, device_checked_at=call.tx.now)
    await call.tx.device_sessions.save(device)
    await visit.record_room_event(call.tx, call.seat.seat.id, EventCode.DEVICE_CHECKED, found)
    return await overview_of(call.tx, replace(call.seat, device=device))


async def show_consent(call: Call[NoBody]) -> PresentedConsent:
    shown = await desk.present(call.tx, call.seat.seat.id, call.query.locale, again=call.query.again)
    names = await render.institution_names(call.tx, set(shown.shared_with))
    return PresentedConsent(
        template_id=shown.template_id,
        key=shown.key,
        version=shown.version,
        locale=shown.locale,
        title=shown.text.title,
        sections=[
            Section(key=part.key, title=part.title, body=part.body, check=part.check)
            for part in text_view(shown.text).sections
        ],
        questions=[
            Question(
                purpose=each.purpose,
                question=each.question,
                if_refused=each.if_refused,
                blocks_care=each.blocks_care,
            )
            for each in shown.text.questions
        ],
        shown_sha256=shown.shown_digest,
        signer=Signer(
            expected_name_masked=masks.name(shown.signer_name),
            capacity="guardian" if shown.guardian_signs else "self",
            child_must_assent=shown.child_must_assent,
            may_be_self_supporting=shown.may_be_self_supporting,
        ),
        shared_with=list(names.values()),
        again=shown.again,
        locales=list(shown.locales),
        speech=speech.clips(call.services.speech.voice, shown.locale, shown.text),
    )


async def sign_consent(call: Call[SignConsent]) -> SeatOverview:
    """The desk makes a resend harmless by itself: the same operation id gives the same record."""
    seat, services = call.seat.seat, call.services
    signing = _signing(call)
    async with services.db.begin() as tx:
        await desk.sign(tx, services.sealer, seat.id, signing)
        await admittance.note_offline(tx, seat.id)
    await consenting.consent_changed(services.live, seat.consult_id, seat.id)
    async with services.db.read() as tx:
        return await overview_of(tx, call.seat)


def _signing(call: Call[SignConsent]) -> desk.Signing:
    body = call.body
    reading = {
        each.key: SectionReading(
            each.shown_ms,
            each.dwell_ms,
            round(each.scrolled_percent),
            round(each.font_px),
            each.read_aloud,
            each.heard_ms,
        )
        for each in body.reading.sections
    }
    hints = {
        "session": call.seat.device.id,
        "agent": call.request.headers.get("User-Agent", "")[:200].encode("ascii", "replace").decode(),
        "font_px": f"{body.reading.font_px:g}",
        "read_aloud": "yes" if body.reading.read_aloud else "no",
    }
    return desk.Signing(
        operation_id=call.op,
        template_id=body.template_id,
        shown_digest=body.shown_sha256,
        decisions=dict(body.decisions),
        typed_name=body.typed_name,
        signature_image=_image(body.signature.png),
        strokes=tuple(tuple((round(x), round(y), round(t)) for x, y, t in stroke) for stroke in body.signature.strokes),
        reading=reading,
        device=hints,
        capacity=SignerCapacity(body.capacity),
        relation=body.relation,
        child_assents=body.child_assents,
        child_name=body.child_name,
        basis=body.basis,
        proof=body.proof,
        authorisation=body.authorisation,
        again=body.again,
        locale_switches=tuple(LocaleSwitch(each.at_ms, each.locale) for each in body.reading.locale_switches),
        decided_ms=dict(body.reading.decided_ms),
        answers=tuple(body.reading.answers),
        method=body.signature.method,
    )


def _image(data_url: str) -> bytes:
    """The PNG inside a data URL. Raises SignatureInvalid."""
    try:
        image = base64.b64decode(data_url.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise SignatureInvalid("not base64") from None
    if not image.startswith(_PNG):
        raise SignatureInvalid("not a PNG")
    return image


async def withdraw_consent(call: Call[WithdrawConsent]) -> SeatOverview:
    """Writing stops first, then the ledger commits."""
    seat, services = call.seat.seat, call.services
    purposes = list(dict.fromkeys(call.body.purposes))
    await consenting.withdraw(services.live, seat.id, purposes, reason=call.body.reason, op=call.op, by=call.actor)
    async with services.db.read() as tx:
        return await overview_of(tx, call.seat)


async def ticket(call: Call[Empty]) -> TicketAnswer:
    granted = await admittance.ticket_grants(call.tx, call.seat.seat.id)
    token = call.services.tokens.issue_ticket(
        seat_id=granted.seat.id,
        consult_id=granted.consult.id,
        institution_id=granted.seat.institution_id,
        role=granted.role,
        device_id=call.seat.device.id,
        grants=granted.grants,
    )
    return TicketAnswer(ticket=token, expires_in=TICKET_SECONDS)


async def after(call: Call[NoBody]) -> AfterVisit:
    seat = call.seat.seat
    events = await render.trail(call.tx, seat.institution_id, seat.consult_id)
    return await after_visit(call.tx, seat, events)


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/links/redeem",
        handler=redeem,
        policy=public(),
        body=Redeem,
        answer=Opened,
        unit=Unit.NONE,
        summary="Open a link on this device",
    ),
    Route(method="GET", path="/api/seat", handler=overview, policy=seat(), answer=SeatOverview, summary="My seat"),
    Route(
        method="POST",
        path="/api/seat/identity",
        handler=confirm_identity,
        policy=seat(),
        body=Confirm,
        answer=SeatOverview,
        unit=Unit.WRITE,
        summary="This is me",
    ),
    Route(
        method="POST",
        path="/api/seat/device-check",
        handler=check_device,
        policy=seat(),
        body=DeviceCheck,
        answer=SeatOverview,
        unit=Unit.WRITE,
        summary="What the device and network test found",
    ),
    Route(
        method="GET",
        path="/api/seat/consent",
        handler=show_consent,
        policy=seat(Own.SELF, Action.SIGN_CONSENT),
        answer=PresentedConsent,
        query=ConsentQuery,
        unit=Unit.WRITE,
        claims=False,
        summary="The text to decide on; the showing is on record",
    ),
    Route(
        method="POST",
        path="/api/seat/consent",
        handler=sign_consent,
        policy=seat(Own.SELF, Action.SIGN_CONSENT),
        body=SignConsent,
        answer=SeatOverview,
        unit=Unit.NONE,
        summary="Sign",
    ),
    Route(
        method="POST",
        path="/api/seat/consent/withdraw",
        handler=withdraw_consent,
        policy=seat(Own.SELF, Action.WITHDRAW_CONSENT),
        body=WithdrawConsent,
        answer=SeatOverview,
        unit=Unit.NONE,
        summary="Withdraw; a running recording stops first",
    ),
    Route(
        method="POST",
        path="/api/seat/ticket",
        handler=ticket,
        policy=seat(Own.SELF, Action.JOIN_MEDIA),
        body=Empty,
        answer=TicketAnswer,
        unit=Unit.READ,
        summary="A ticket for the socket",
    ),
    Route(
        method="GET",
        path="/api/seat/after",
        handler=after,
        policy=seat(),
        answer=AfterVisit,
        summary="What became of it",
    ),
)
