"""What a server's refusal means to the person at the keyboard: one line, never a page and never a secret."""

import re
from collections.abc import Mapping
from typing import Any

from da2k.errors import BadInput, Da2kError, Unreachable

_JSON_WEB_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


class Unsure(Unreachable):
    """A request failed on its way, and the server may or may not have done it.

    Attributes:
        after: seconds that the server asks to be left alone; 0 if it does not.
    """

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class NotThere(BadInput):
    """The server has no such thing."""


def refusal(url: str, status: int | None, body: Any, headers: Mapping[str, str], secret: str) -> Da2kError:
    """The error that an answer other than success stands for.

    Args:
        url: of the server.
        status: of the answer; None where there is none.
        body: of the answer, parsed if it was JSON.
        headers: of the answer.
        secret: the token, which a server might repeat.
    """
    told = hidden(_told(body), secret)
    if status == 401:
        if "legacy" in told.lower():
            return BadInput(
                f"{url}: legacy tokens are switched off there; use a personal access token, or have an "
                "administrator switch them on (Organization, Access Token Settings)"
            )
        return BadInput(f"{url}: the token is refused; copy it anew from Label Studio, Account & Settings")
    if status == 403:
        return BadInput(f"{url}: this user may not do that ({told or 'no reason given'})")
    if status == 404:
        return NotThere(f"{url}: not found there")
    if status == 413:
        return BadInput(f"{url}: a request is too large for the server, or for what stands before it (413)")
    if status == 429:
        after = _seconds(headers)
        return Unsure(f"{url}: the server asks for fewer requests (429); wait, and run the same command again", after)
    if status is None or 200 <= status < 400:
        return no_label_studio(url)
    if status >= 500 or status == 408:
        return Unsure(f"{url}: the server failed ({status}); see its log, and run the same command again")
    return BadInput(f"{url}: refused ({status}): {told or 'no reason given'}")


def no_label_studio(url: str) -> Unreachable:
    """The error for an answer that Label Studio does not give."""
    return Unreachable(
        f"{url}: what answers there is no Label Studio, or sends on elsewhere; check the address, https included"
    )


def hidden(text: str, secret: str) -> str:
    """The text with dots in place of the secret, and of anything that looks like a token of its kind."""
    text = text.replace(secret, "…") if secret else text
    return _JSON_WEB_TOKEN.sub("…", text)


def _told(body: Any) -> str:
    """What the server says is wrong, on one short line; nothing if it is a page."""
    if isinstance(body, Mapping):
        errors = body.get("validation_errors")
        body = "; ".join(f"{k}: {v}" for k, v in errors.items()) if isinstance(errors, Mapping) else body.get("detail")
    text = " ".join(str(body or "").split())
    return "" if "<" in text else text[:200]


def _seconds(headers: Mapping[str, str]) -> float:
    """What `Retry-After` says, if it says a number of seconds."""
    told = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
    return float(told) if re.fullmatch(r"\d{1,6}", told.strip()) else 0.0
