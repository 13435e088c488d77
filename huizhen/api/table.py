"""The one table of routes. Anything not in it does not exist (the WHIP/WHEP and socket edges have their own doors)."""

from huizhen.api import (
    admin,
    archive,
    audit,
    breakglass,
    consults,
    directory,
    disposals,
    evidence,
    facts,
    gates,
    ledger,
    panels,
    papers,
    playing,
    public,
    seat,
    session,
    templates,
)
from huizhen.api.route import Table

ROUTES: Table = (
    *public.ROUTES,
    *session.ROUTES,
    *seat.ROUTES,
    *consults.ROUTES,
    *panels.ROUTES,
    *evidence.ROUTES,
    *breakglass.ROUTES,
    *papers.ROUTES,
    *directory.ROUTES,
    *archive.ROUTES,
    *playing.ROUTES,
    *disposals.ROUTES,
    *audit.ROUTES,
    *admin.ROUTES,
    *gates.ROUTES,
    *facts.ROUTES,
    *templates.ROUTES,
    *ledger.ROUTES,
)
