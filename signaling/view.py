"""The base of everything pages are told."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


def plain(view: View) -> dict[str, Any]:
    """JSON values; optional fields that are not set are left out, nullable ones stay."""
    return view.model_dump(mode="json", exclude_defaults=True)
