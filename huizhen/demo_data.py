"""Who plays in the demo. Invented people and institutions; ids and numbers that cannot be real."""

import struct
import zlib
from dataclasses import dataclass
from datetime import date

from clinic.facts import FilingKind
from clinic.filings import NewFiling
from clinic.people import IdentityLevel, Role
from clinic.registration import NewInstitution, NewPatient, NewStaff

CARDIOLOGY = "03.04"
LICENCE_TO = date(2049, 12, 31)


@dataclass(frozen=True, slots=True)
class Person:
    """One demo account."""

    login: str
    name: str
    name_en: str
    title: str
    roles: tuple[Role, ...]
    doctor: bool = False

    def account(self, institution_id: str, verified_until: date) -> NewStaff:
        return NewStaff(
            institution_id=institution_id,
            login=self.login,
            name=self.name,
            name_en=self.name_en,
            title=self.title,
            roles=self.roles,
            department=CARDIOLOGY if self.doctor else None,
            licence_number=f"1{sum(map(ord, self.login)) * 7919:014d}" if self.doctor else None,
            licence_valid_to=LICENCE_TO if self.doctor else None,
            practice_scope=(CARDIOLOGY, "03") if self.doctor else (),
            independent_since=date(2005, 7, 1) if self.doctor else None,
            verified_until=verified_until if self.doctor else None,
        )


def filing(person: Person) -> NewFiling:
    """The doctor's registration at the house, from the day they began."""
    return NewFiling(FilingKind.REGISTERED, f"ZY-{person.login}", date(2005, 7, 1))


@dataclass(frozen=True, slots=True)
class House:
    key: str
    new: NewInstitution
    people: tuple[Person, ...]
    tier: str = "county"
    region: str = "990000"

    @property
    def coordinator(self) -> Person:
        return next(person for person in self.people if Role.COORDINATOR in person.roles)


HOUSES: tuple[House, ...] = (
    House(
        "city",
        NewInstitution(
            name="云州市第一人民医院",
            short_name="市一院",
            name_en="Yunzhou First People's Hospital",
            licence_number="PDY00000000000001",
            licence_valid_to=LICENCE_TO,
            departments=(CARDIOLOGY, "03", "03.07", "07", "50"),
            phone="0000-8000001",
        ),
        (
            Person("doctor", "李静文", "Li Jingwen", "主任医师", (Role.ATTENDING,), doctor=True),
            Person("nurse", "周小禾", "Zhou Xiaohe", "护士", (Role.NURSE,)),
            Person("archivist", "陈档之", "Chen Dangzhi", "档案管理员", (Role.ARCHIVIST,)),
            Person("approver1", "吴审言", "Wu Shenyan", "病案审批人", (Role.APPROVER,)),
            Person("approver2", "郑复核", "Zheng Fuhe", "病案审批人", (Role.APPROVER,)),
            Person("auditor", "冯察微", "Feng Chawei", "审计员", (Role.AUDITOR,)),
            Person("regulator", "卫督明", "Wei Duming", "监管人员", (Role.REGULATOR,)),
            Person("admin", "何管事", "He Guanshi", "系统管理员", (Role.ADMIN,)),
            Person("coordinator", "江会协", "Jiang Huixie", "会诊协调员", (Role.COORDINATOR,)),
            Person("expert3", "罗明远", "Luo Mingyuan", "主任医师", (Role.EXPERT, Role.CHAIR), doctor=True),
        ),
        tier="city",
        region="990100",
    ),
    House(
        "county",
        NewInstitution(
            name="青溪县人民医院",
            short_name="青溪县医院",
            name_en="Qingxi County Hospital",
            licence_number="PDY00000000000002",
            licence_valid_to=LICENCE_TO,
            departments=(CARDIOLOGY, "02", "03"),
            phone="0000-8000002",
        ),
        (
            Person("clinic", "孙远山", "Sun Yuanshan", "主治医师", (Role.INVITING,), doctor=True),
            Person("clinic-archivist", "钱存真", "Qian Cunzhen", "档案管理员", (Role.ARCHIVIST,)),
            Person("clinic-approver1", "韩明正", "Han Mingzheng", "病案审批人", (Role.APPROVER,)),
            Person("clinic-approver2", "许慎思", "Xu Shensi", "病案审批人", (Role.APPROVER,)),
            Person("clinic-coordinator", "孟联诊", "Meng Lianzhen", "会诊协调员", (Role.COORDINATOR,)),
        ),
        tier="county",
        region="990123",
    ),
    House(
        "province",
        NewInstitution(
            name="江原省立医院",
            short_name="省立医院",
            name_en="Jiangyuan Provincial Hospital",
            licence_number="PDY00000000000003",
            licence_valid_to=LICENCE_TO,
            departments=(CARDIOLOGY, "03", "04.05"),
            phone="0000-8000003",
            province="99",  # the example overlay of clinic/rules/overlays
        ),
        (
            Person("expert1", "赵仁心", "Zhao Renxin", "主任医师", (Role.EXPERT, Role.CHAIR), doctor=True),
            Person("expert2", "唐妙春", "Tang Miaochun", "副主任医师", (Role.EXPERT,), doctor=True),
            Person("province-coordinator", "方会务", "Fang Huiwu", "会诊协调员", (Role.COORDINATOR,)),
        ),
        tier="province",
        region="990000",
    ),
    House(
        "university",
        NewInstitution(
            name="江原大学附属医院",
            short_name="江大附院",
            name_en="Jiangyuan University Hospital",
            licence_number="PDY00000000000004",
            licence_valid_to=LICENCE_TO,
            departments=(CARDIOLOGY, "03", "04.05", "32"),
            phone="0000-8000004",
        ),
        (
            Person("expert4", "沈知衡", "Shen Zhiheng", "主任医师", (Role.EXPERT, Role.CHAIR), doctor=True),
            Person("university-coordinator", "白接洽", "Bai Jieqia", "会诊协调员", (Role.COORDINATOR,)),
        ),
        tier="province",
        region="990000",
    ),
)
# Who may ask whom: each pair has an agreement with both seals.
AGREED = (("county", "city"), ("county", "province"), ("county", "university"), ("city", "province"))


def visit_patient(institution_id: str) -> NewPatient:
    return NewPatient(
        institution_id=institution_id,
        name="张晓明",
        name_en="Zhang Xiaoming",
        birth_date=date(1958, 3, 14),
        gender="M",
        id_number="000000195803140016",
        phone="10000000001",
        identity_level=IdentityLevel.L3,
    )


def panel_patient(institution_id: str) -> NewPatient:
    return NewPatient(
        institution_id=institution_id,
        name="王秀兰",
        name_en="Wang Xiulan",
        birth_date=date(1951, 11, 2),
        gender="F",
        id_number="000000195111020028",
        phone="10000000002",
        identity_level=IdentityLevel.L3,
    )


def signature_png(width: int = 240, height: int = 80) -> bytes:
    """A drawn line as PNG, for the consult of the past that the demo tells of."""
    rows = []
    for y in range(height):
        row = bytearray(b"\xff" * width)
        for x in range(16, width - 16):
            middle = height // 2 + ((x * 7) % 23 - 11) * (1 if (x // 23) % 2 else -1)
            if abs(y - middle) <= 1:
                row[x] = 0
        rows.append(b"\x00" + bytes(row))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
