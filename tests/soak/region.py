"""208 institutions by tier with their people, experts and agreements, on a database of any kind."""

import random
from dataclasses import dataclass, field
from typing import Any

from clinic import filings, registration
from clinic.actor import Actor
from clinic.parties import directory
from clinic.parties.directory import NewEntry
from clinic.parties.records import Tier
from clinic.people import Institution, Patient, Role, Staff
from consent import templates
from tests.support.agreements import agree
from tests.support.builders import CARDIOLOGY, institution, patient, staff
from tests.support.proofs import filing

TIERS = {Tier.PROVINCE: 2, Tier.CITY: 16, Tier.COUNTY: 60, Tier.TOWNSHIP: 130}  # 208
EXPERTS = {Tier.PROVINCE: 40, Tier.CITY: 12, Tier.COUNTY: 3}
ABOVE = {Tier.TOWNSHIP: Tier.COUNTY, Tier.COUNTY: Tier.CITY, Tier.CITY: Tier.PROVINCE}


@dataclass(slots=True)
class House:
    institution: Institution
    tier: Tier
    doctors: list[Staff] = field(default_factory=list)
    experts: list[Staff] = field(default_factory=list)
    patients: list[Patient] = field(default_factory=list)
    partners: list["House"] = field(default_factory=list)  # asked under an agreement


@dataclass(slots=True)
class Region:
    houses: list[House]

    @property
    def inviting(self) -> list[House]:
        return [house for house in self.houses if house.partners]


async def found(db: Any, sealer: Any, rng: random.Random, *, texts: bool) -> Region:
    """`texts`: with the consent texts of the inviting houses, which the day through the API needs."""
    houses: list[House] = []
    for tier, count in TIERS.items():
        for number in range(count):
            houses.append(await _house(db, tier, number, texts=texts))
    by_tier = {tier: [house for house in houses if house.tier is tier] for tier in TIERS}
    for house in houses:
        above = ABOVE.get(house.tier)
        if above is None:
            continue
        house.partners = rng.sample(by_tier[above], 2) + rng.sample(by_tier[Tier.PROVINCE], 1)
        house.partners = list({partner.institution.id: partner for partner in house.partners}.values())
        async with db.begin() as tx:
            for partner in house.partners:
                await agree(tx, sealer, house.institution.id, partner.institution.id)
    return Region(houses)


async def _house(db: Any, tier: Tier, number: int, *, texts: bool) -> House:
    async with db.begin() as tx:
        made = await registration.create_institution(tx, institution(f"{tier.value}{number}医院", f"{tier} {number}"))
        system, prefix = Actor.system(made.id), f"{tier.value}-{number}"
        house = House(made, tier)
        entry = NewEntry(tier.value, "330100", (CARDIOLOGY,), True, "协调员", "0571-1")
        await directory.keep_entry(tx, entry, Actor(f"coo-{prefix}", made.id, (Role.COORDINATOR,)))
        if tier is not Tier.PROVINCE:
            for each in range(3):
                new = staff(made.id, f"{prefix}-d{each}", (Role.INVITING,))
                house.doctors.append(await registration.create_staff(tx, new, system))
                await filings.file_practice(tx, house.doctors[-1].id, filing(), system)
            house.patients = [await registration.create_patient(tx, patient(made.id), system) for _ in range(4)]
        for each in range(EXPERTS.get(tier, 0)):
            new = staff(made.id, f"{prefix}-e{each}", (Role.EXPERT,))
            house.experts.append(await registration.create_staff(tx, new, system))
        if texts and house.doctors:
            await templates.publish(tx, made.id, system)
    return house
