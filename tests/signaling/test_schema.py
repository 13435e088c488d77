"""The TypeScript types are what the models say."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from signaling import schema, told

GENERATED = Path(__file__).parents[2] / "web/src/rtc/messages.gen.ts"


def test_the_checked_in_types_are_fresh() -> None:
    stale = "run: python -m signaling.schema > web/src/rtc/messages.gen.ts"
    assert GENERATED.read_text(encoding="utf-8") == schema.typescript(), stale


def test_every_event_is_in_the_types() -> None:
    text = schema.typescript()
    for name in ("ClientEvents", "ClientAcks", "RoomTold", "DirectTold", "SnapshotView", "Refusal", "MeView"):
        assert f" {name} " in text, name
    assert '"media.offer": MediaOffer;' in text
    assert "sources: Record<string, " in text


def test_what_is_told_is_checked_against_the_types() -> None:
    told.validate("direct", {"type": "pool", "audio": 1, "video": 2})
    for body in ({"type": "pool", "audio": 1}, {"type": "unheard_of"}, {"type": "speaker", "seat": 5}):
        with pytest.raises(ValidationError):
            told.validate("direct", body)
    with pytest.raises(ValueError, match="extra"):
        told.validate("direct", {"type": "pool", "audio": 1, "video": 2, "extra": 3})
