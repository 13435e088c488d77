"""Hospital systems at the FHIR door: a bearer token of 128 bits, of which only a hash is kept, valid for a time."""

import re
from dataclasses import dataclass
from datetime import timedelta

from audit.errors import MissingRow
from audit.transaction import Database
from clinic.actor import Actor
from clinic.clients import HisClient, actor_of
from huizhen.auth import secret
from huizhen.auth.errors import SessionRequired
from huizhen.auth.rows import ClientToken
from huizhen.store.tables import StoreTransaction

LONGEST_DAYS = 366
_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]{20,64})\Z")


@dataclass(frozen=True, slots=True)
class ClientCaller:
    """Who is behind a request with a valid bearer token. `csrf` is empty: a system only reads."""

    client: HisClient
    csrf: str = ""

    @property
    def actor(self) -> Actor:
        return actor_of(self.client)


class ClientDoor:
    """Guessing 128 bits is hopeless even without counting attempts."""

    def __init__(self, db: Database[StoreTransaction]) -> None:
        self._db = db

    async def issue(self, tx: StoreTransaction, client: HisClient, days: int) -> str:
        """A new token, the former ones gone. It is told once and kept nowhere; the caller appends the event."""
        await self.forget(tx, client.id)
        token = secret.mint()
        ends = tx.now + timedelta(days=days)
        await tx.client_tokens.add(
            ClientToken(secret.fingerprint(token), client.institution_id, client.id, tx.now, ends)
        )
        return token

    @staticmethod
    async def forget(tx: StoreTransaction, client_id: str) -> None:
        for token in await tx.client_tokens.find(client_id=client_id):
            await tx.client_tokens.remove(token.id)

    async def caller(self, header: str) -> ClientCaller:
        """The client of an Authorization header. Raises SessionRequired."""
        given = _BEARER.match(header)
        if given is not None:
            async with self._db.read() as tx:
                try:
                    token = await tx.client_tokens.get(secret.fingerprint(given.group(1)))
                    client = await tx.his_clients.get(token.client_id)
                except MissingRow:
                    pass
                else:
                    if tx.now < token.expires_at and client.ended_at is None:
                        return ClientCaller(client)
        raise SessionRequired
