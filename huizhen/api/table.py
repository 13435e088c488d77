"""The one table of routes. Anything not in it does not exist (the WHIP/WHEP and socket edges have their own doors)."""

from huizhen.api import (
    admin,
    aloud,
    archive,
    audit,
    companion,
    consults,
    directory,
    disposals,
    panels,
    playing,
    public,
    seat,
    session,
)
from huizhen.api.route import Table

ROUTES: Table = (
    *public.ROUTES,
    *session.ROUTES,
    *seat.ROUTES,
    *aloud.ROUTES,
    *companion.ROUTES,
    *consults.ROUTES,
    *panels.ROUTES,
    *directory.ROUTES,
    *archive.ROUTES,
    *playing.ROUTES,
    *disposals.ROUTES,
    *audit.ROUTES,
    *admin.ROUTES,
)
