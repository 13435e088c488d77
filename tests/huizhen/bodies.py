"""A body that passes validation for every route that takes one."""

from typing import Any
from uuid import uuid4

from huizhen.api.route import Route
from tests.huizhen.world import operation

_MOMENT = ("2026-03-10T09:00:00Z", "2026-03-10T10:00:00Z")
_SAMPLES: dict[str, dict[str, Any]] = {
    "AddEvidence": {
        "department": "03.04",
        "visited_on": "2026-02-01",
        "visited_institution": "某医院",
        "diagnosis": "高血压",
        "reference": "MZ1",
    },
    "Cancel": {"reason_code": "other"},
    "AddSeat": {"role": "family", "display_name": "某某", "relation": "女儿"},
    "DeviceTokenBody": {"kind": "whip", "label": "cart"},
    "NoteBody": {"complaint": "a", "findings": "b", "diagnosis": "c", "advice": "d"},
    "OpinionBody": {"text": "opinion"},
    "DecisionBody": {"adoption": "adopt", "reason": "because", "treatment": "go on"},
    "InvitationAnswer": {"accept": False, "reason": "away"},
    "AskAccess": {"reason": "quality control of the month"},
    "DecideAccess": {"grant": True, "minutes": 60, "reason": "fine"},
    "Approve": {"list_sha256": "0" * 64},
    "BecauseBody": {"reason": "because"},
    "OpenSlot": {
        "doctor_id": "0" * 32,
        "department": "03.04",
        "kind": "follow_up",
        "starts_at": _MOMENT[0],
        "minutes": 60,
        "capacity": 4,
    },
    "BookPlace": {"patient_id": "0" * 32, "reason": "r"},
    "ChangeTime": {"slot_id": "0" * 32},
    "TellBody": {"text": "soon"},
    "TriageBody": {"complaint": "c", "vitals": {"pulse": 70}, "advice": "continue_online", "handover": "h"},
    "ReassignBody": {"doctor_id": "0" * 32},
    "AbsenceBody": {"who": "patient"},
    "WrittenBody": {"reason": "no call needed"},
    "NewClientBody": {"name": "HIS", "days": 30},
    "TokenBody": {"days": 30},
    "ScopeBody": {"patient_ids": ["0" * 32], "open": True},
    "InviteBody": {"channel": "sms"},
    "PasswordBody": {"password": "another horse 8"},
    "BreakGlass": {"reason": "急诊抢救需要查看用药史"},
    "DecideGlass": {"permit": True},
    "ReviewGlass": {"justified": True},
    "ChangeStaffBody": {"title": "主任"},
    "AttestBody": {"evidence_id": "0" * 32, "diagnosis": "高血压"},
    "WhereaboutsBody": {"location": "某路 1 号", "contact_name": "某某", "contact_phone": "120"},
    "FilingBody": {"kind": "filed", "number": "1", "valid_from": "2026-01-01"},
    "ShiftBody": {"department": "03.04", "starts_at": _MOMENT[0], "ends_at": _MOMENT[1]},
    "GuardianBody": {"name": "某某", "relation": "母亲"},
    "AgreementBody": {"doctor_id": "0" * 32, "number": "1", "signed_on": "2026-01-01", "valid_to": "2026-12-31"},
    "DraftContent": {
        "key": "visit.patient",
        "locale": "zh",
        "title": "t",
        "sections": [],
        "questions": [],
        "legal_basis": [],
    },
    "DraftSeen": {"sha256": "0" * 64},
    "SettingsBody": {"locales": ["zh", "en"], "purposes": []},
    "AskBody": {"purposes": ["teach"]},
    "LanguageBody": {"locale": "en"},
    "WitnessBody": {
        "capacity": "self",
        "basis": "own",
        "signer_name": "某某",
        "document": "身份证",
        "typed_name": "某某",
    },
    "StaffWithdrawal": {"purposes": ["rec_av"], "reason": "来电", "identified": "called_back"},
    "EmergencyBody": {"reason": "昏迷", "tried": "电话未接"},
    "CorrectBody": {"reason": "记错了"},
    "AskHold": {"reason": "对诊疗有异议"},
    "AnswerHold": {"grant": False, "reason": "已封存"},
    "AdviseBody": {"reason_code": "emergency", "text": "胸痛加重"},
    "AskCase": {
        "number": "卫监17",
        "authority": "区监督所",
        "reason": "投诉核查，调取资料",
        "scope": ["chart"],
        "since": "2026-03-01",
        "until": "2026-03-31",
        "ends_at": "2026-03-20T09:00:00Z",
    },
    "DecideCase": {"permit": False, "reason": "与函件不符"},
    "CloseCase": {"reason": "核查结束"},
    "PoliciesBody": {"values": {"late_joiner": "wait"}, "reason": "院务会决定"},
    "MatchBody": {"parties": []},
    "WithdrawRequest": {"reason": "病情变化"},
    "AssignBody": {"expert_ids": ["0" * 32]},
    "PartyAnswerBody": {"accept": False, "reason": "无法参加"},
    "ProposeTimeBody": {
        "starts_at": "2026-03-20T09:00:00Z",
        "ends_at": "2026-03-20T10:00:00Z",
        "reason": "当时有手术",
    },
    "StandInBody": {"expert_id": "0" * 32, "stand_in_id": "1" * 32, "reason": "出差"},
    "ProposalAnswerBody": {"accept": False, "reason": "患者等不及"},
    "EntryBody": {
        "tier": "county",
        "region": "330127",
        "departments": ["03.04"],
        "accepts": True,
        "contact_name": "某某",
        "contact_phone": "0000-1",
    },
    "TermsBody": {
        "inviting_id": "0" * 32,
        "invited_id": "1" * 32,
        "number": "XY1",
        "purpose": "远程会诊",
        "content": "流程与权利义务",
        "kinds": ["expert_consult"],
        "liability": "by_kind",
        "liability_text": "按规定",
        "fee_split": "邀请方收取",
        "valid_from": "2026-01-01",
        "valid_to": "2026-12-31",
    },
    "SealBody": {"sha256": "0" * 64},
    "StopBody": {"reason": "不再合作"},
    "FindingsBody": {"version": 1, "measurements": []},
    "SearchBody": {"patient_number": "H1"},
    "AllowBody": {"uid": "1.2"},
}


def sample(route: Route[Any]) -> dict[str, Any]:
    """Fresh operation id each time."""
    name = route.body.__name__
    body = dict(_SAMPLES.get(name, {}))
    if name == "CaseBody":
        expert = uuid4().hex
        body = {
            "invited_institution_id": uuid4().hex,
            "expert_ids": [expert],
            "chair_id": expert,
            "reason": "r",
            "aim": "a",
            "summary": "s",
            "wanted_specialty": "w",
        }
    return {"op": operation()} | body
