"""Security headers of every answer, and what counts as our own page."""

import ipaddress
import re
from urllib.parse import urlsplit

from aiohttp import web

from huizhen.settings import Settings

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": (
        "camera=(self), microphone=(self), display-capture=(self), screen-wake-lock=(self), autoplay=(self), "
        "fullscreen=(self), geolocation=(), payment=(), usb=(), bluetooth=(), serial=(), midi=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
}
_HSTS = "max-age=31536000"


_WORKER = re.compile(r"/static/assets/[^/]*worker[^/]*\Z")
_CONSOLE = re.compile(r"/console(/|\Z)")
# A script that runs beside the page: decoding pictures is WebAssembly, and that runs nowhere else.
_WORKER_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "connect-src 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)


def policy_for(path: str, host: str, secure: bool) -> str:
    """Which policy an answer carries: of a worker's script, of the console, or of everything else."""
    if _WORKER.match(path):
        return _WORKER_POLICY
    return content_security_policy(host, secure, workers=_CONSOLE.match(path) is not None)


def content_security_policy(host: str, secure: bool, *, workers: bool = False) -> str:
    """Everything from ourselves, nothing inline, framed by nobody. `host` is named for sockets: older Safari does not
    take 'self' for ws:. `workers`: the console may start those that decode pictures; the patient page starts none."""
    scheme = "wss" if secure else "ws"
    socket = f" {scheme}://{host}" if _plain_host(host) else ""
    from_us, policies = ("'self'", "vue workers") if workers else ("'none'", "vue")
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            f"connect-src 'self'{socket}",
            "media-src 'self' blob:",
            "manifest-src 'self'",
            f"worker-src {from_us}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-src 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            f"trusted-types {policies}",
        )
    )


def _plain_host(host: str) -> bool:
    return bool(host) and all(part.isalnum() or part in "-.:[]" for part in host) and host.isascii()


class SecurityHeaders:
    """`on_response_prepare` signal: no answer leaves without them, static files and errors included."""

    def __init__(self, settings: Settings) -> None:
        self._secure = settings.secure
        self._hsts = settings.secure and not settings.lan  # a self-made certificate is no promise for a year

    async def __call__(self, request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _ALWAYS.items():
            response.headers.setdefault(name, value)
        policy = policy_for(request.path, request.host, self._secure)
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.pop("Server", None)
        if self._hsts:
            response.headers.setdefault("Strict-Transport-Security", _HSTS)


def own_origin(request: web.Request, settings: Settings) -> bool:
    """Whether the request comes from a page of ours, or from no page at all (no Origin header)."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") in (None, "same-origin", "none")
    if origin in (settings.public_url, *settings.allowed_origins):
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:  # "http://["
        return False
    return parts.scheme in ("http", "https") and parts.netloc == request.host


def source_of(request: web.Request, settings: Settings) -> str:
    """Whom to count attempts for: the peer, or what the outermost trusted proxy saw. Never logged.

    Some proxies add a header line of their own behind what the client sent: all lines count, from the end.
    """
    if settings.proxy_count:
        lines = ",".join(request.headers.getall("X-Forwarded-For", ()))
        hops = [part.strip() for part in lines.split(",") if part.strip()]
        if len(hops) >= settings.proxy_count:
            return counted(hops[-settings.proxy_count][:64])
    return counted(request.remote or "unknown")


def counted(address: str) -> str:
    """An IPv6 customer holds a /64 at least and could come from another address each time: the prefix is counted."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.ip_network((parsed, 64), strict=False))
