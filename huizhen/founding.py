"""An institution enters the server: its row, its wording, its first administrator."""

from audit.transaction import Database
from clinic import registration
from clinic.actor import Actor
from clinic.people import Institution, Role, Staff
from consent import templates
from huizhen.auth.limiter import Attempts
from huizhen.auth.passwords import Passwords
from huizhen.auth.staff import StaffDoor
from huizhen.settings import Settings
from huizhen.store.tables import StoreTransaction


async def complete_wording(db: Database[StoreTransaction]) -> int:
    """At start: what an update brought texts for and an institution has none of is published, or nobody could sign."""
    async with db.read() as tx:
        houses = [house.id for house in await tx.institutions.find() if await templates.lacks(tx, house)]
    for house_id in houses:
        async with db.begin() as tx:
            await templates.publish_missing(tx, house_id, Actor.system(house_id))
    return len(houses)


async def found(
    db: Database[StoreTransaction],
    settings: Settings,
    new: registration.NewInstitution,
    *,
    login: str,
    name: str,
    password: str,
) -> tuple[Institution, Staff]:
    """One transaction. Raises InvalidInput, LoginTaken, PasswordTooWeak: nothing was created then."""
    door = StaffDoor(db, Passwords(settings), Attempts(settings), settings)
    hashed = await door.hash_password(password)
    async with db.begin() as tx:
        await door.require_free(tx, login)
        house = await registration.create_institution(tx, new)
        system = Actor.system(house.id)
        await templates.publish(tx, house.id, system)
        account = registration.NewStaff(house.id, login.strip().lower(), name, (Role.ADMIN,))
        admin = await registration.create_staff(tx, account, system)
        await door.set_password(tx, admin, hashed)
    return house, admin
