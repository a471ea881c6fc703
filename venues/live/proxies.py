"""The proxy that the environment names for an address (http_proxy, https_proxy, no_proxy)."""

from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_LIKE = {"ws": "http", "wss": "https"}


def proxy_of(url: str) -> str | None:
    """The proxy to go through; None for none, and for this machine's own addresses."""
    parts = urlsplit(url)
    if _is_own(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    return proxies.get(_LIKE.get(parts.scheme, parts.scheme)) or proxies.get("all")


def _is_own(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
