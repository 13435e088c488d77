"""The reference pages say everything: a setting, code, event, message, route, table or figure left out fails here."""

import re

import pytest

from audit.events import EventCode
from huizhen import reasons
from huizhen.api.table import ROUTES
from huizhen.settings import reference
from huizhen.store.tables import TABLES
from signaling import schema, views
from signaling.messages import EVENTS
from tests.docs import inventory, render_errors, render_panels
from tests.docs.inventory import page


def _rows(text: str) -> dict[str, str]:
    """First cell of every table row, without backticks -> the row."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return {row.split("|")[1].strip().strip("`"): row for row in rows}


def test_settings_are_as_generated() -> None:
    assert page("settings.md") == reference(), "stale: huizhen config docs > docs/settings.md"


def test_the_table_of_codes_is_as_generated() -> None:
    text = page("errors.md")
    assert render_errors.BEGIN in text
    assert render_errors.renewed(text) == text, "stale: python -m tests.docs.render_errors"


@pytest.mark.parametrize("locale", reasons.LOCALES)
def test_every_code_has_plain_words(locale: str) -> None:
    """What GET /api/reasons answers: a client never has to show a bare code."""
    words = reasons.words(locale)
    assert sorted(code for code in inventory.codes() if not words.get(code, "").strip()) == []


def test_words_of_both_languages_are_in_their_language() -> None:
    for code, text in reasons.words("zh").items():
        assert re.search(r"[\u4e00-\u9fff]", text), code
    for code, text in reasons.words("en").items():
        assert not re.search(r"[\u4e00-\u9fff]", text), code


def test_codes_are_collected_from_every_package() -> None:
    """The collector itself: one code of each kind."""
    expected = {"media.transport_gone", "gate.doctor_experience", "rec.person_unsigned", "token.used", "session.busy"}
    assert expected <= inventory.codes()
    assert {event.value for event in EventCode} & inventory.codes() == {"access.denied"}, "the one code that is both"


def test_every_finding_of_the_verifier_is_explained() -> None:
    rows = _rows(page("errors.md"))
    assert sorted(inventory.findings() - set(rows)) == []


def test_every_audit_event_is_explained_and_no_other() -> None:
    table = page("audit-events.md").partition("| code | ")[2].partition("\n")[2]
    rows = {name: row for name, row in _rows(table).items() if not name.startswith("**")}
    assert set(rows) == {event.value for event in EventCode}
    for name, row in rows.items():
        cells = row.strip().strip("|").split("|")
        assert len(cells) == 4, name
        assert all(cell.strip() for cell in cells), f"{name}: a cell is empty"


def test_reserved_events_are_those_nobody_writes() -> None:
    reserved = {
        name
        for name, row in _rows(page("audit-events.md")).items()
        if "*(reserved)*" in row and "`" in row.split("|")[1]
    }
    written = "".join(path.read_text(encoding="utf-8") for path in inventory.sources())
    unused = {event.value for event in EventCode if f"EventCode.{event.name}" not in written}
    assert reserved == unused


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_every_socket_message_is_described_with_its_fields(event: str) -> None:
    row = _rows(page("protocol.md"))[event]
    missing = [name for name in inventory.model_fields(EVENTS[event]) if not re.search(rf"\b{name}\b", row)]
    assert missing == []


@pytest.mark.parametrize("model", sorted(schema._heard(), key=str), ids=lambda m: str(m.__name__))
def test_everything_the_server_says_is_described_with_its_fields(model: type[views.View]) -> None:
    kind = model.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]
    row = _rows(page("protocol.md"))[f"→ {kind}"]
    names = [name for name in inventory.model_fields(model) if name not in ("type", "epoch", "seq")]
    assert [name for name in names if not re.search(rf"\b{name}\b", row)] == []


@pytest.mark.parametrize(
    "name",
    [
        "SeatView",
        "RecordingView",
        "SnapshotView",
        "ConsultView",
        "MeView",
        "ChatView",
        "PanelView",
        "SideView",
        "QuorumView",
    ],
)
def test_every_shape_is_described_with_its_fields(name: str) -> None:
    row = _rows(page("protocol.md"))[name]
    assert [each for each in inventory.model_fields(getattr(views, name)) if not re.search(rf"\b{each}\b", row)] == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_described_with_its_body(route: object) -> None:
    method, path = route.method, route.path  # type: ignore[attr-defined]
    row = _rows(page("protocol.md")).get(f"{method} {path}")
    assert row is not None, "no row in docs/protocol.md"
    fields = [*inventory.model_fields(route.body), *inventory.model_fields(route.query)]  # type: ignore[attr-defined]
    missing = [name for name in fields if name != "op" and not re.search(rf"\b{name}\b", row)]
    assert missing == []


def test_no_route_is_described_that_does_not_exist() -> None:
    known = {f"{route.method} {route.path}" for route in ROUTES}
    said = {name for name in _rows(page("protocol.md")) if re.match(r"[A-Z]{3,6} /(?!whip|whep)", name)}
    assert said - known == set()


def test_every_table_is_on_the_right_side_of_the_line() -> None:
    evidential, _, operational = page("data-model.md").partition("## Operational")
    assert operational
    for table in TABLES:
        assert f"`{table.name}`" in (evidential if table.evidential else operational), table.name


def test_every_figure_of_metrics_is_explained() -> None:
    text = page("operations.md")
    assert "huizhen_signaling_events" in inventory.metric_names()
    assert sorted(name for name in inventory.metric_names() if f"`{name}" not in text) == []


def test_the_states_of_requests_are_told_as_they_are() -> None:
    text = page("panels.md")
    assert render_panels.renewed(text) == text, "stale: python -m tests.docs.render_panels"
