"""The one table of routes. Anything not in it does not exist (the WHIP/WHEP and socket edges have their own doors)."""

from huizhen.api import (
    admin,
    archive,
    audit,
    consults,
    directory,
    disposals,
    outbox,
    panels,
    playing,
    public,
    seat,
    session,
    slots,
    waiting,
)
from huizhen.api.route import Table

ROUTES: Table = (
    *public.ROUTES,
    *session.ROUTES,
    *seat.ROUTES,
    *consults.ROUTES,
    *panels.ROUTES,
    *slots.ROUTES,
    *waiting.ROUTES,
    *outbox.ROUTES,
    *directory.ROUTES,
    *archive.ROUTES,
    *playing.ROUTES,
    *disposals.ROUTES,
    *audit.ROUTES,
    *admin.ROUTES,
)
