"""Links as pictures."""

import io

import segno


def svg(url: str) -> str:
    """A QR code as SVG markup without inline style, so that a strict CSP lets it be shown as an image."""
    buffer = io.BytesIO()
    segno.make(url, error="m", micro=False).save(buffer, kind="svg", scale=4, border=2, xmldecl=False, svgns=True)
    return buffer.getvalue().decode()


def terminal(url: str) -> str:
    """A QR code of half blocks for a dark or light terminal."""
    buffer = io.StringIO()
    segno.make(url, error="l", micro=False).terminal(out=buffer, border=1, compact=True)
    return buffer.getvalue()
