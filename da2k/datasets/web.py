"""HTTP as downloads need it: only http and https, no downgrade, and a token that never leaves its host."""

import http.client
import os
from typing import IO, Any
from urllib import request as urllib_request
from urllib.parse import SplitResult, urlsplit

from da2k.errors import BadInput

HUB = "https://huggingface.co"
"""The hub; `HF_ENDPOINT` names a mirror of it."""


def checked(url: str) -> str:
    """The address, if it is one that may be fetched.

    Raises:
        BadInput: it is not http or https, has no host, holds a password, or is not percent-encoded.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"address {_tame(url)}: only http:// and https:// are fetched")
    if parts.username is not None or parts.password is not None:
        raise BadInput(f"address {parts.hostname}: must not hold a user name or password")
    if not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise BadInput(f"address {_tame(url)}: must be percent-encoded")
    return url


def shown(url: str) -> str:
    """The address as messages may print it: without a query, which may be a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def through_endpoint(url: str) -> str:
    """The address at the hub's mirror, where `HF_ENDPOINT` names one and the address is the hub's."""
    return _endpoint() + url.removeprefix(HUB) if url.startswith(f"{HUB}/") else url


def is_hub(url: str) -> bool:
    """Whether scheme, host and port are the hub's."""
    origin = _origin(url)
    return origin is not None and origin == _origin(_endpoint())


def has_token() -> bool:
    """Whether `HF_TOKEN` is set."""
    return bool(os.environ.get("HF_TOKEN", "").strip())


def open_request(request: urllib_request.Request, timeout: float) -> http.client.HTTPResponse:
    """Send a request, with the hub's token if it goes to the hub, and follow redirects.

    Raises:
        BadInput: a redirect leaves http and https, or goes from https to http.
        urllib.error.HTTPError: a status of 300 or more; urllib.error.URLError: no connection;
            OSError, http.client.HTTPException: the connection broke off.
    """
    opener = urllib_request.OpenerDirector()
    for handler in (
        urllib_request.ProxyHandler(),
        urllib_request.HTTPHandler(),
        urllib_request.HTTPSHandler(),
        urllib_request.HTTPDefaultErrorHandler(),
        urllib_request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    _authorise(request)
    response: http.client.HTTPResponse = opener.open(request, timeout=timeout)
    return response


class _Redirects(urllib_request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib_request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib_request.Request | None:
        old, new = urlsplit(req.full_url), _split(newurl)
        if new is None or new.scheme not in ("http", "https") or not new.hostname:
            raise BadInput(f"{shown(req.full_url)}: redirects to an address that is not http or https; not followed")
        if (old.scheme, new.scheme) == ("https", "http"):
            raise BadInput(f"{shown(req.full_url)}: redirects from https to http, {new.hostname}; not followed")
        redirected = super().redirect_request(req, fp, code, msg, headers, newurl)
        if redirected is not None:
            _authorise(redirected)
        return redirected


def _authorise(request: urllib_request.Request) -> None:
    """Add the hub's token to a request to the hub, as a header that redirects do not copy."""
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token or not is_hub(request.full_url):
        return
    if not all("!" <= c <= "~" for c in token):
        raise BadInput("HF_TOKEN: holds a character that no token has; set it anew or unset it")
    request.add_unredirected_header("Authorization", f"Bearer {token}")


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or HUB


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    parts = _split(url)
    return parts and (parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme))


def _split(url: str) -> SplitResult | None:
    """The parts of an address, or None if it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError:
        return None
    return parts


def _tame(url: str) -> str:
    return repr(url if "@" not in url else url.rpartition("@")[2])
