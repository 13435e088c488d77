"""Bodies and answers of the staff door and of what needs no door."""

from clinic.people import Role
from huizhen.api.shapes.base import Answer, Line, LooseBody, Moment, Password


class Login(LooseBody):
    login: Line
    password: Password


class LoggedIn(Answer):
    csrf: str


class StepUp(LooseBody):
    password: Password


class SteppedUp(Answer):
    step_up_until: Moment


class StaffCard(Answer):
    id: str
    name: str
    name_en: str
    title: str
    roles: list[Role]
    department: str | None


class HouseCard(Answer):
    id: str
    name: str
    name_en: str
    short_name: str
    phone: str
    time_zone: str


class Me(Answer):
    staff: StaffCard
    institution: HouseCard
    csrf: str
    step_up_until: Moment | None = None
