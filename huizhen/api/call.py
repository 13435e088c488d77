"""One authenticated request on its way to a handler."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel

from clinic.actor import Actor
from clinic.people import Staff
from huizhen.auth.clients import ClientCaller
from huizhen.auth.errors import SessionRequired
from huizhen.auth.links import SeatCaller
from huizhen.auth.staff import StaffCaller
from huizhen.problems import RequestError
from huizhen.services import Services
from huizhen.store.tables import StoreTransaction

B = TypeVar("B", bound=BaseModel)
Caller = StaffCaller | SeatCaller | ClientCaller

STAFF_COOKIE = "hz_staff"
DEVICE_COOKIE = "hz_device"


@dataclass(slots=True)
class Cookie:
    name: str
    value: str | None  # None: forget it
    max_age: int = 0


@dataclass(slots=True)
class Call(Generic[B]):
    """Everything a handler may look at. `tx` is there when the route asks for a transaction."""

    request: web.Request
    services: Services
    body: B
    query: Any
    source: str
    caller: Caller | None = None
    transaction: StoreTransaction | None = None
    cookies: list[Cookie] = field(default_factory=list)
    owned: bool = False  # the ownership check passed

    @property
    def tx(self) -> StoreTransaction:
        if self.transaction is None:
            raise RuntimeError("this route asked for no transaction")
        return self.transaction

    @property
    def staff(self) -> StaffCaller:
        if not isinstance(self.caller, StaffCaller):
            raise SessionRequired
        return self.caller

    @property
    def me(self) -> Staff:
        return self.staff.staff

    @property
    def seat(self) -> SeatCaller:
        if not isinstance(self.caller, SeatCaller):
            raise SessionRequired
        return self.caller

    @property
    def actor(self) -> Actor:
        if isinstance(self.caller, StaffCaller):
            return Actor.staff(self.caller.staff)
        if isinstance(self.caller, ClientCaller):
            return self.caller.actor
        return Actor.seated(self.seat.seat)

    @property
    def now(self) -> datetime:
        return self.services.clock()

    @property
    def op(self) -> str:
        """The operation id. Raises RequestError when the body has none."""
        op = getattr(self.body, "op", None)
        if not isinstance(op, str):
            raise RequestError("input.invalid", "op")
        return op

    def path(self, name: str) -> str:
        """A path parameter (an id)."""
        return self.request.match_info[name]

    def set_cookie(self, name: str, value: str, max_age: int) -> None:
        self.cookies.append(Cookie(name, value, max_age))

    def drop_cookie(self, name: str) -> None:
        self.cookies.append(Cookie(name, None))
