"""Fetching one file over HTTP: it resumes, it is checked, and it has its final name only when it is whole."""

import http.client
import json
import os
import socket
import ssl
import time
import urllib.error
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from urllib.request import Request

from da2k.datasets import web
from da2k.datasets.disk import Progress, locked, require_space, silent
from da2k.errors import BadInput, Unreachable
from da2k.files import sha256_file, write_text

_PIECE = 1 << 18
_WORTH_A_NEW_START = 1 << 20
_TRANSIENT = (408, 429, 500, 502, 503, 504)


class ChangedFile(BadInput):
    """The file on the server is not the one that was expected: its size or its checksum differs."""


@dataclass(frozen=True)
class Patience:
    """How long to try.

    Attributes:
        timeout: seconds without a byte after which a connection counts as dropped.
        tries: failures in a row, without a further megabyte between them, after which to give up.
        first_pause: seconds before the second try; doubled before each further one.
        longest_pause: seconds; also the longest wait a server may ask for.
    """

    timeout: float = 20
    tries: int = 5
    first_pause: float = 1
    longest_pause: float = 60

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return min(self.first_pause * 2.0 ** (failures - 1), self.longest_pause)


def download(
    url: str,
    target: Path,
    sha256: str | None = None,
    *,
    size: int | None = None,
    progress: Progress | None = None,
    patience: Patience = Patience(),
) -> str:
    """Fetch a file, carrying on where an earlier call stopped.

    What has arrived lies in `<name>.part`, with what identifies it in `<name>.part.json`. A dropped connection
    or an error of the server is tried again; a name that cannot be resolved or a refused connection is not.

    Args:
        url: http or https; redirects may not leave these two, nor go from https to http.
        target: the file to make; an existing one is replaced.
        sha256: what the file's checksum must be, or None if unknown.
        size: what its size in bytes must be, or None if unknown.

    Returns:
        The SHA-256 of the file, as hex.

    Raises:
        ChangedFile: size or checksum is another one; nothing is left under the final name.
        BadInput: the server refuses (401, 403) or does not have it (404), the disk is full, or another process
            is fetching the same file.
        Unreachable: there is no connection, or it kept breaking off; what has arrived is kept.
    """
    url = web.checked(web.through_endpoint(url))
    with locked(target):
        part = _Part(target, url)
        _fetch(part, size, progress or silent, patience)
        _require_size(part, part.size(), size)
        digest = sha256_file(part.path)
        if sha256 is not None and digest != sha256:
            part.discard()
            raise ChangedFile(f"{web.shown(url)}: its SHA-256 is {digest}, and {sha256} is expected")
        part.finish()
    return digest


@dataclass(frozen=True)
class _Identity:
    """What the server said of the file a part belongs to: a validator for If-Range, and the whole size."""

    url: str
    validator: str | None
    total: int | None


class _Part:
    """The unfinished file and what is known of it."""

    def __init__(self, target: Path, url: str) -> None:
        self.target = target
        self.url = url
        self.path = target.with_name(f"{target.name}.part")
        self._identity_path = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def identity(self) -> _Identity | None:
        """What the part belongs to, or None if it cannot be carried on."""
        try:
            identity = _Identity(**json.loads(self._identity_path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return identity if identity.url == self.url and self.path.exists() else None

    def restart(self, identity: _Identity) -> None:
        self.path.unlink(missing_ok=True)
        write_text(self._identity_path, json.dumps(asdict(identity)))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._identity_path.unlink(missing_ok=True)

    def finish(self) -> None:
        try:
            self.path.replace(self.target)
        except OSError as e:
            raise BadInput(f"{self.target}: cannot be written ({e.strerror or e})") from None
        self._identity_path.unlink(missing_ok=True)


class _Interrupted(Exception):
    """A failure that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def _fetch(part: _Part, size: int | None, progress: Progress, patience: Patience) -> None:
    """Fill the part, trying again as `patience` allows."""
    failures, furthest = 0, part.size()
    while True:
        try:
            return _fetch_rest(part, size, progress, patience.timeout)
        except _Interrupted as e:
            moved = part.size() >= furthest + _WORTH_A_NEW_START
            failures, furthest = 1 if moved else failures + 1, max(furthest, part.size())
            pause = patience.pause(failures) if e.wait is None else e.wait
            if failures >= patience.tries or pause > patience.longest_pause:
                asked = f", and it asks to wait {e.wait:.0f} s" if e.wait else ""
                raise Unreachable(f"{web.shown(part.url)}: {e}{asked}; {_carries_on(part)}") from None
            time.sleep(pause)


def _fetch_rest(part: _Part, size: int | None, progress: Progress, timeout: float) -> None:
    """One connection: what the part still lacks, or everything if the server's file is another one by now."""
    known, have = part.identity(), part.size()
    if known is not None and known.total is not None and have == known.total:
        return
    request = Request(part.url, headers={"User-Agent": "da2k"})
    if known is not None and known.validator is not None and have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", known.validator)
    with _open(request, part, timeout) as response:
        start, identity = _position(response, part, have, known)
        _require_size(part, identity.total, size)
        if start == 0:
            part.restart(identity)
        require_space(part.path.parent, (identity.total or 0) - start)
        _receive(response, part, start, identity.total, progress)


def _open(request: Request, part: _Part, timeout: float) -> http.client.HTTPResponse:
    try:
        return web.open_request(request, timeout)
    except urllib.error.HTTPError as e:
        with e:
            raise _status_error(e, part) from None
    except urllib.error.URLError as e:
        if isinstance(e.reason, ConnectionError) and not isinstance(e.reason, ConnectionRefusedError):
            raise _Interrupted(f"the connection broke off ({_named(e.reason)})") from None
        raise Unreachable(f"{request.host}: {_no_connection(e.reason)}; {_carries_on(part)}") from None
    except (OSError, http.client.HTTPException) as e:
        raise _Interrupted(f"the connection broke off ({_named(e)})") from None


def _status_error(error: urllib.error.HTTPError, part: _Part) -> Exception:
    status, where = error.code, web.shown(part.url)
    if status in _TRANSIENT:
        return _Interrupted(f"the server answers {_status(status)}", _asked_wait(error.headers.get("Retry-After")))
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.discard()
        return _Interrupted("the server's file has become shorter")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        advice = "accept its terms on its page, or fetch it by hand"
        if web.is_hub(part.url):
            given = "the token in HF_TOKEN does not open it" if web.has_token() else "HF_TOKEN is not set"
            advice = f"{given}; accept its terms on its page and set HF_TOKEN to a token that may read it"
        return BadInput(f"{where}: the server refuses it ({_status(status)}); {advice}")
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return BadInput(f"{where}: not there ({_status(status)}); correct the file's url in the data manifest")
    return BadInput(f"{where}: the server answers {_status(status)}; check the file's url in the data manifest")


def _position(
    response: http.client.HTTPResponse, part: _Part, have: int, known: _Identity | None
) -> tuple[int, _Identity]:
    """Where the body begins in the file, and what file it is of.

    Some servers answer a range whatever If-Range says, so a partial answer is compared with what is known.
    """
    headers = response.headers
    etag = headers.get("ETag", "")
    validator = etag if etag.startswith('"') else headers.get("Last-Modified")
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        length = headers.get("Content-Length", "")
        return 0, _Identity(part.url, validator, int(length) if length.isdecimal() else None)
    first, _, rest = headers.get("Content-Range", "").removeprefix("bytes ").partition("-")
    total = rest.partition("/")[2]
    identity = _Identity(part.url, validator, int(total) if total.isdecimal() else None)
    if identity != known or first != str(have):
        part.discard()
        raise _Interrupted("the server's file has changed in the middle")
    return have, identity


def _receive(
    response: http.client.HTTPResponse, part: _Part, start: int, total: int | None, progress: Progress
) -> None:
    done = start
    progress(done, total)
    try:
        with part.path.open("ab") as f:
            while piece := _read(response):
                f.write(piece)
                done += len(piece)
                progress(done, total)
            f.flush()
            os.fsync(f.fileno())
    except OSError as e:
        raise BadInput(f"{part.path}: cannot be written ({e.strerror or e}); {_carries_on(part)}") from None
    if total is not None and done != total:
        raise _Interrupted(f"the connection broke off after {done} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_PIECE)
    except (OSError, http.client.HTTPException) as e:
        raise _Interrupted(f"the connection broke off ({_named(e)})") from None


def _require_size(part: _Part, found: int | None, expected: int | None) -> None:
    if None not in (found, expected) and found != expected:
        part.discard()
        raise ChangedFile(f"{web.shown(part.url)}: it has {found} bytes, and {expected} are expected")


def _asked_wait(text: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _no_connection(reason: object) -> str:
    if isinstance(reason, socket.gaierror):
        return "no network (the name cannot be resolved)"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted ({reason.verify_message})"
    return f"no connection ({_named(reason)})"


def _named(error: object) -> str:
    text = str(getattr(error, "strerror", None) or error)
    return " ".join(text.split()) or type(error).__name__


def _status(code: int) -> str:
    phrase = http.client.responses.get(code, "")
    return f"{code} {phrase}".strip()


def _carries_on(part: _Part) -> str:
    have = part.size() if part.identity() else 0
    if have:
        return f"the {have:,} bytes here are kept, and the same command carries on"
    return "run this again when it can be reached"
