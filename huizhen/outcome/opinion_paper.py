"""The words of 会诊意见书: from the canonical dossier to what the template sets. Pure: same dossier, same data."""

import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import segno

from clinic.calendar import age_on, local_date
from clinic.documents import canonical, digest
from huizhen import departments
from huizhen.evidence.paper import Paper, verification_code
from huizhen.evidence.phrases import label, spaced

Facts = list[list[str]]
_BLANK = "—"


@cache
def words(locale: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(files("huizhen.words").joinpath(f"opinion.{locale}.json").read_text("utf-8"))
    return found


def paper_of(dossier: Mapping[str, Any], address: str, locale: str) -> Paper:
    """`address`: what the QR code opens. Another locale than "en" is Chinese."""
    say = words("en" if locale == "en" else "zh")
    lang = "en" if locale == "en" else "zh"
    data = canonical(dossier)
    named, consult = digest(data), dossier["consult"]
    code, zone = verification_code(named), ZoneInfo(consult["institution"]["time_zone"])
    sheet = _Sheet(dossier, say, lang, zone)
    moment = sheet.signed_last
    title = say["title_diagnosis" if consult["kind"] == "remote_diagnosis" else "title"]
    content = {
        "lang": lang,
        "date": [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second],
        "title": title,
        "institution": sheet.named(consult["institution"]),
        "number": f"{say['number']} {code}",
        "words": sheet.words(),
        "ended": sheet.ended(),
        "patient": sheet.patient(),
        "facts": sheet.facts(),
        "request": sheet.request(),
        "opinions": [sheet.opinion(row, number) for number, row in enumerate(dossier["opinions"], 1)],
        "released": sheet.released(),
        "quorum": sheet.quorum(),
        "report": sheet.report(),
        "decision": sheet.decision(),
        "liability": label(say["liabilities"], (dossier["request"] or {}).get("liability", "inviting")),
        "afterwards": sheet.afterwards(),
        "code": code,
        "digest": spaced(named),
        "footer": f"{sheet.named(consult['institution'])}  {say['number']} {code}",
    }
    beside = {"consult-opinion.json": data, "qr.svg": _qr(address)}
    return Paper(content, beside, int(moment.timestamp()), str(title), template="opinion.typ")


class _Sheet:
    """One dossier in one language and time zone."""

    def __init__(self, dossier: Mapping[str, Any], say: Mapping[str, Any], lang: str, zone: ZoneInfo) -> None:
        self._dossier = dossier
        self._say = say
        self._lang = lang
        self._zone = zone

    @property
    def signed_last(self) -> datetime:
        """The paper's own time: that of the last signature in it."""
        parts = [*self._dossier["opinions"], *self._dossier["marks"], *self._dossier["countersignatures"]]
        parts += [part for part in (self._dossier["report"], self._dossier["decision"]) if part]
        last: datetime = max(part["document"]["signed_at"] for part in parts)
        return last.astimezone(UTC)

    def words(self) -> dict[str, str]:
        """Those of the template; what was not signed has the reason it was not signed for."""
        plain = {key: value for key, value in self._say.items() if isinstance(value, str)}
        if "ended" in self._dossier:
            return plain | {"no_report": plain["ended_no_report"], "no_decision": plain["ended_no_decision"]}
        alone = len(self._dossier["opinions"]) == 1
        return plain if alone else plain | {"no_report": plain["no_report_left"]}

    def ended(self) -> str:
        """That the panel was ended before it could close, and why (CN-09)."""
        end = self._dossier.get("ended")
        return "" if end is None else f"{self._minute(end['at'])}  {end['said'][self._lang]}"

    def named(self, house: Mapping[str, Any]) -> str:
        return str((house.get("name_en") or house["name"]) if self._lang == "en" else house["name"])

    def patient(self) -> Facts:
        say, patient = self._say, self._dossier["patient"]
        birth: date = patient["birth_date"]
        return [
            [say["name"], patient["name"]],
            [say["gender"], label(say["genders"], patient["gender"])],
            [say["age"], self._age(birth)],
            [say["birth"], birth.isoformat()],
            [say["identity"], label(say["identities"], f"L{patient['identity_level']}")],
            [say["patient_number"], patient["id"][:12]],
        ]

    def facts(self) -> Facts:
        say, consult, request = self._say, self._dossier["consult"], self._dossier["request"]
        doctor = consult["doctor"]
        chairs = [row for row in self._dossier["opinions"] if row["chair"]]
        return [
            [say["inviting"], self.named(consult["institution"])],
            [say["invited"], say["comma"].join(self._invited())],
            [say["inviting_doctor"], f"{doctor['name']}  {doctor['title']}"],
            [say["chair"], say["comma"].join(self._who(row)["name"] for row in chairs) or _BLANK],
            [say["department"], self._department(consult["department"])],
            [say["kind"], label(say["kinds"], str(consult["kind"]))],
            [say["requested_at"], _BLANK if request is None else self._minute(request["at"])],
            [say["held_at"], self._held()],
            [say["consult_number"], consult["id"]],
        ]

    def request(self) -> Facts:
        say, request = self._say, self._dossier["request"]
        if request is None:
            return []
        return [
            [say["reason"], request["reason"]],
            [say["aim"], request["aim"]],
            [say["wanted"], request["specialty"]],
            [say["summary"], request["summary"]],
        ]

    def opinion(self, row: Mapping[str, Any], number: int) -> dict[str, Any]:
        document, who, say = row["document"], self._who(row), self._say
        words_on = [
            self._signature(word, say["countersigned" if word["document"]["agrees"] else "countersign_returned"])
            for word in self._dossier["countersignatures"]
            if word["document"]["opinion"] == document["id"]
        ]
        return {
            "heading": say["opinion_of"].format(number=number),
            "who": self._described(who),
            "chair": say["chair"] if row["chair"] else "",
            "text": _parts(document["text"]),
            "dissent": bool(document["dissent"]),
            "signature": self._signature(row, say["signature"]),
            "countersigned": words_on,
            "awaits": say["trainee"] if document.get("countersign") and not words_on else "",
        }

    def report(self) -> dict[str, Any] | None:
        row, say = self._dossier["report"], self._say
        if row is None:
            return None
        document = row["document"]
        return {
            "conclusion": _parts(document["conclusion"]),
            "advice": _parts(document["advice"]),
            "signature": self._signature(row, say["chair"]),
            "marks": [
                {
                    "who": self._described(self._who(mark)),
                    "said": say["agrees" if mark["document"]["agrees"] else "disagrees"],
                    "agrees": mark["document"]["agrees"],
                    "remark": mark["document"]["remark"],
                    "at": self._minute(mark["document"]["signed_at"]),
                }
                for mark in self._dossier["marks"]
            ],
        }

    def quorum(self) -> str:
        """That part of the discussion was short of people, where it was (HZ-31)."""
        lapses = [
            f"{self._minute(row['from'])} – {self._minute(row['until']) if row['until'] else _BLANK}"
            for row in self._dossier["lapses"]
        ]
        return str(self._say["quorum"].format(when=self._say["comma"].join(lapses))) if lapses else ""

    def released(self) -> str:
        """Whom the patient stopped sharing with before the end (PIPL art. 15)."""
        rows = [
            f"{self.named(row['institution'])} ({self._minute(row['at'])})" for row in self._dossier.get("released", ())
        ]
        return str(self._say["released"].format(names=self._say["comma"].join(rows))) if rows else ""

    def decision(self) -> dict[str, Any] | None:
        row, say = self._dossier["decision"], self._say
        if row is None:
            return None
        document = row["document"]
        return {
            "adoption": label(say["adoptions"], str(document["adoption"])),
            "reason": _parts(document["reason"]),
            "treatment": _parts(document["treatment"]),
            "signature": self._signature(row, say["inviting_doctor"]),
        }

    def afterwards(self) -> Facts:
        say = self._say
        ways = {"out": say["referral_out"], "back": say["referral_back"]}
        rows = [
            [
                f"{say['referral']} {row['number']}",
                f"{ways[str(row['direction'])]} → {self.named(row['to'])}\n{row['reason']}",
            ]
            for row in self._dossier["referrals"]
        ]
        for task in self._dossier["tasks"]:
            rows.append([say["task"], f"{task['what']}\n{say['until'].format(day=task['due_on'].isoformat())}"])
        return rows

    def _invited(self) -> list[str]:
        """Of every expert who signed; before that of the request."""
        names = [self._who(row)["institution_name"] for row in self._dossier["opinions"]]
        request = self._dossier["request"]
        return list(dict.fromkeys(name for name in names if name)) or (
            [] if request is None else [request["invited"]["name"]]
        )

    def _who(self, row: Mapping[str, Any]) -> Mapping[str, str]:
        """The signer; papers of before do not name theirs but by id."""
        document = row["document"]
        author = document.get("author")
        if author:
            return dict(author)
        unknown = str(document.get("expert") or document.get("doctor") or "")[:12]
        return {"name": unknown, "title": "", "department": "", "institution_name": ""}

    def _described(self, who: Mapping[str, str]) -> list[str]:
        """Name, title, department, institution: what the rules ask of each opinion (1.3)."""
        department = self._department(who["department"]) if who["department"] else _BLANK
        return [who["name"], who["title"] or _BLANK, department, who["institution_name"] or _BLANK]

    def _signature(self, row: Mapping[str, Any], as_what: str) -> dict[str, str]:
        return {
            "as": as_what,
            "name": self._who(row)["name"],
            "note": self._say["electronic"],
            "at": self._minute(row["document"]["signed_at"], seconds=True),
            "remark": str(row["document"].get("remark") or ""),
        }

    def _department(self, code: str) -> str:
        return departments.label(code)[0 if self._lang == "zh" else 1]

    def _held(self) -> str:
        consult = self._dossier["consult"]
        began, ended = consult["opened_at"], consult["ended_at"]
        if began is None:
            return _BLANK
        return self._minute(began) + (f" – {ended.astimezone(self._zone):%H:%M}" if ended else "")

    def _minute(self, moment: datetime, *, seconds: bool = False) -> str:
        return f"{moment.astimezone(self._zone):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}}"

    def _age(self, birth: date) -> str:
        on = local_date(self._dossier["consult"]["opened_at"] or self.signed_last, self._zone.key)
        years = age_on(birth, on)
        if years >= 3:
            return str(self._say["years"].format(years=years))
        months = (on.year - birth.year) * 12 + on.month - birth.month - (on.day < birth.day)
        return str(self._say["months"].format(months=max(0, months)))


def _parts(text: str) -> Sequence[str]:
    return [part for part in text.split("\n") if part.strip()]


def _qr(address: str) -> bytes:
    buffer = io.BytesIO()
    segno.make(address, error="m", micro=False).save(buffer, kind="svg", scale=4, border=1, xmldecl=False, svgns=True)
    return buffer.getvalue()
