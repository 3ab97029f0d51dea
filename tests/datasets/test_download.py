"""Downloads from a real server that drops, changes, refuses and redirects."""

import hashlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from da2k.datasets.download import ChangedFile, Patience, download
from da2k.errors import BadInput, Da2kError, Unreachable

BODY = bytes(range(256)) * 800
OTHER = BODY[::-1]
QUICK = Patience(timeout=5, tries=4, first_pause=0.001)
TOKEN = "hf_canary0123456789"
SIGNATURE = "canary9876543210"

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A server on 127.0.0.1 that gives the planned answers in order, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[dict[str, str]] = []
        self.release = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(dict(self.headers))
                answer = site.answers.pop(0) if len(site.answers) > 1 else site.answers[0]
                answer(self)
                self.close_connection = True

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/files/data.zip"

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def stalled(self, after: int) -> Answer:
        """All headers and some bytes, then nothing until the test ends."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            head(request, 200, {"Content-Length": str(len(BODY)), "ETag": '"v1"'})
            request.wfile.write(BODY[:after])
            self.release.wait()

        return answer


def head(request: BaseHTTPRequestHandler, code: int, headers: dict[str, str]) -> None:
    request.send_response(code)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()


def status(code: int, **headers: str) -> Answer:
    return lambda request: head(request, code, {name.replace("_", "-"): value for name, value in headers.items()})


def file(
    body: bytes = BODY,
    *,
    validator: tuple[str, str] | None = ("ETag", '"v1"'),
    stop_after: int | None = None,
    ranges: bool = True,
    heeds_if_range: bool = True,
) -> Answer:
    """The file, as a server with or without ranges gives it; with `stop_after` the connection breaks off."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        same = validator is not None and request.headers.get("If-Range") == validator[1]
        start = 0
        if asked and ranges and (same or not heeds_if_range):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        headers = dict([validator] if validator else [])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        head(request, 206 if start else 200, {**headers, "Content-Length": str(len(body) - start)})
        request.wfile.write(body[start:stop_after])

    return answer


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()
    try:
        yield site
    finally:
        site.close()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "data.zip"


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_arrives_whole(site: Site, target: Path) -> None:
    site.answers = [file()]
    seen: list[tuple[int, int | None]] = []

    digest = download(site.url, target, sha256(BODY), size=len(BODY), progress=lambda *at: seen.append(at))

    assert digest == sha256(BODY)
    assert target.read_bytes() == BODY
    assert left(target) == ["data.zip"]
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_a_dropped_connection_is_carried_on(site: Site, target: Path) -> None:
    site.answers = [file(stop_after=70_000), file()]

    download(site.url, target, patience=QUICK)

    assert target.read_bytes() == BODY
    assert "Range" not in site.requests[0]
    assert site.requests[1]["Range"] == "bytes=70000-"
    assert site.requests[1]["If-Range"] == '"v1"'


def test_the_next_call_carries_on_too(site: Site, target: Path) -> None:
    site.answers = [file(stop_after=70_000), file()]
    with pytest.raises(Unreachable, match=r"broke off after 70000 of 204800 bytes; the 70,000 bytes here are kept"):
        download(site.url, target, patience=Patience(tries=1))
    assert left(target) == ["data.zip.part", "data.zip.part.json"]

    download(site.url, target)

    assert target.read_bytes() == BODY
    assert left(target) == ["data.zip"]
    assert site.requests[1]["Range"] == "bytes=70000-"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(BODY) - 1), max_size=5))
def test_wherever_it_breaks_off_the_file_is_the_same(tmp_path: Path, cuts: list[int]) -> None:
    target = tmp_path / "data.zip"
    with serving() as site:
        site.answers = [*(file(stop_after=cut) for cut in cuts), file()]
        assert download(site.url, target, patience=Patience(tries=6, first_pause=0)) == sha256(BODY)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_file_that_changed_between_the_halves_is_fetched_anew(site: Site, target: Path, heeds_if_range: bool) -> None:
    changed = file(OTHER, validator=("ETag", '"v2"'), heeds_if_range=heeds_if_range)
    site.answers = [file(stop_after=70_000), changed]

    download(site.url, target, patience=QUICK)

    assert target.read_bytes() == OTHER


def test_a_file_that_became_shorter_is_fetched_anew(site: Site, target: Path) -> None:
    site.answers = [file(stop_after=70_000), status(416), file(BODY[:100], validator=("ETag", '"v2"'))]

    download(site.url, target, patience=QUICK)

    assert target.read_bytes() == BODY[:100]
    assert "Range" not in site.requests[2]


def test_a_server_without_ranges(site: Site, target: Path) -> None:
    site.answers = [file(stop_after=70_000), file(ranges=False)]

    download(site.url, target, patience=QUICK)

    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("validator", "if_range"),
    [
        (("Last-Modified", "Fri, 14 Jun 2024 10:00:00 GMT"), "Fri, 14 Jun 2024 10:00:00 GMT"),
        (("ETag", 'W/"weak"'), None),
        (None, None),
    ],
)
def test_only_a_strong_validator_lets_it_carry_on(
    site: Site, target: Path, validator: tuple[str, str] | None, if_range: str | None
) -> None:
    site.answers = [file(validator=validator, stop_after=70_000), file(validator=validator)]

    download(site.url, target, patience=QUICK)

    assert target.read_bytes() == BODY
    assert site.requests[1].get("If-Range") == if_range
    assert ("Range" in site.requests[1]) == (if_range is not None)


def test_another_address_starts_anew(site: Site, target: Path) -> None:
    site.answers = [file(stop_after=70_000), file(OTHER)]
    with pytest.raises(Unreachable):
        download(site.url, target, patience=Patience(tries=1))

    download(f"{site.origin}/other.zip", target)

    assert target.read_bytes() == OTHER
    assert "Range" not in site.requests[1]


def test_a_whole_part_needs_no_request(site: Site, target: Path) -> None:
    site.answers = [file(stop_after=70_000)]
    with pytest.raises(Unreachable):
        download(site.url, target, patience=Patience(tries=1))
    with (target.parent / "data.zip.part").open("ab") as f:
        f.write(BODY[70_000:])

    assert download(site.url, target, sha256(BODY)) == sha256(BODY)
    assert len(site.requests) == 1


def test_a_broken_chunked_answer_is_tried_again(site: Site, target: Path) -> None:
    def broken(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        head(request, 200, {"Transfer-Encoding": "chunked"})
        request.wfile.write(b"100\r\n" + BODY[:256] + b"\r\n200\r\nshort")

    site.answers = [broken, file()]

    download(site.url, target, patience=QUICK)

    assert target.read_bytes() == BODY


def test_a_silent_server_is_tried_again(site: Site, target: Path) -> None:
    site.answers = [site.stalled(after=70_000), file()]

    download(site.url, target, patience=Patience(timeout=0.2, first_pause=0))

    assert target.read_bytes() == BODY
    assert site.requests[1]["Range"] == "bytes=70000-"


def test_a_wrong_checksum_leaves_nothing(site: Site, target: Path) -> None:
    site.answers = [file()]
    with pytest.raises(ChangedFile, match=f"its SHA-256 is {sha256(BODY)}, and {'0' * 64} is expected"):
        download(site.url, target, "0" * 64)
    assert left(target) == []


def test_a_wrong_checksum_leaves_the_former_file(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"former")
    site.answers = [file()]
    with pytest.raises(ChangedFile):
        download(site.url, target, "0" * 64)
    assert target.read_bytes() == b"former"


def test_a_wrong_size_is_refused(site: Site, target: Path) -> None:
    site.answers = [file()]
    with pytest.raises(ChangedFile, match="it has 204800 bytes, and 5 are expected"):
        download(site.url, target, size=5)
    assert left(target) == []


def test_a_wrong_size_is_refused_even_if_the_server_states_none(site: Site, target: Path) -> None:
    def unstated(request: BaseHTTPRequestHandler) -> None:
        head(request, 200, {})
        request.wfile.write(BODY)

    site.answers = [unstated]
    with pytest.raises(ChangedFile, match="it has 204800 bytes, and 5 are expected"):
        download(site.url, target, size=5)
    assert left(target) == []
    assert download(site.url, target, size=len(BODY)) == sha256(BODY)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (401, "refuses it .401 Unauthorized.; accept its terms"),
        (403, "refuses it .403 Forbidden.; accept its terms"),
        (404, "not there .404 Not Found.; correct the file's url"),
        (410, "not there .410 Gone.; correct"),
        (418, "answers 418"),
    ],
)
def test_a_refusal_is_final(site: Site, target: Path, code: int, words: str) -> None:
    site.answers = [status(code), file()]
    with pytest.raises(BadInput, match=words):
        download(site.url, target, patience=QUICK)
    assert len(site.requests) == 1
    assert left(target) == []


def test_errors_that_pass_are_tried_again(site: Site, target: Path) -> None:
    site.answers = [status(500), status(503, Retry_After="0"), status(429, Retry_After="0"), file()]

    download(site.url, target, patience=QUICK)

    assert target.read_bytes() == BODY
    assert len(site.requests) == 4


def test_errors_that_stay_end_it(site: Site, target: Path) -> None:
    site.answers = [status(502)]
    with pytest.raises(Unreachable, match="502 Bad Gateway; run this again"):
        download(site.url, target, patience=QUICK)
    assert len(site.requests) == QUICK.tries


@pytest.mark.parametrize("wait", ["3600", "Fri, 14 Jun 2199 10:00:00 GMT"])
def test_a_wait_that_is_too_long_ends_it(site: Site, target: Path, wait: str) -> None:
    site.answers = [status(429, Retry_After=wait), file()]
    with pytest.raises(Unreachable, match=r"429 Too Many Requests, and it asks to wait \d{4,} s"):
        download(site.url, target, patience=QUICK)
    assert len(site.requests) == 1


def test_a_refused_connection_ends_it_at_once(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+: no connection \(Connection refused\)"):
        download(f"http://127.0.0.1:{port}/x", target, patience=Patience(first_pause=10_000, longest_pause=10_000))


def test_a_name_that_cannot_be_resolved_ends_it_at_once(target: Path) -> None:
    # Longer than a name may be in the DNS, so that the resolver refuses it without asking anyone.
    host = ".".join(["a" * 60] * 5)
    with pytest.raises(Unreachable, match=r"no network \(the name cannot be resolved\)"):
        download(f"http://{host}/x", target, patience=Patience(first_pause=10_000, longest_pause=10_000))


def test_a_full_disk_is_noticed_before_the_first_byte(site: Site, target: Path) -> None:
    site.answers = [status(200, Content_Length=str(10**15))]
    with pytest.raises(BadInput, match=r"1,000,000,000,000,000 bytes are needed and [0-9,]+ are free"):
        download(site.url, target, patience=QUICK)
    assert not target.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_write_that_fails_is_one_line(site: Site, target: Path) -> None:
    site.answers = [file()]
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    done = child(site.url, target, limit)
    _, err = done.communicate()
    assert done.returncode != 0
    assert err.splitlines()[-1].startswith("da2k.errors.BadInput: ")
    assert "data.zip.part: cannot be written (File too large); the 100,000 bytes here are kept" in err
    assert not target.exists()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/x",
        "file:///etc/hostname",
        "data:text/plain,x",
        "//127.0.0.1/x",
        "http:///x",
        "http://127.0.0.1:port/x",
        "http://a..b/x",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/ä",
        "http://127.0.0.1/\r\nX: y",
        f"http://user:{TOKEN}@127.0.0.1/x",
        f"ftp://user:{TOKEN}@127.0.0.1/x",
    ],
)
def test_other_addresses_are_refused(target: Path, url: str) -> None:
    with pytest.raises(BadInput, match=r"^address ") as caught:
        download(url, target)
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/x", "file:///etc/hostname", "javascript:0", "http://127.0.0.1:p/"])
def test_redirects_out_of_the_web_are_refused(site: Site, target: Path, place: str) -> None:
    site.answers = [status(302, Location=place)]
    with pytest.raises(BadInput, match=f"^{site.url}: "):
        download(site.url, target, patience=QUICK)
    assert len(site.requests) == 1


def test_redirects_in_a_circle_end(site: Site, target: Path) -> None:
    site.answers = [status(302, Location=site.url)]
    with pytest.raises(BadInput, match="answers 302"):
        download(site.url, target, patience=QUICK)


def test_the_token_goes_to_the_hub_only(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", site.origin)
    with serving() as elsewhere:
        moved = status(307, Location="/files/moved.zip")
        site.answers = [moved, status(302, Location=f"{elsewhere.url}?signature={SIGNATURE}")]
        elsewhere.answers = [file()]
        download("https://huggingface.co/datasets/a/b/resolve/main/data.zip", target)
        assert target.read_bytes() == BODY
        assert [r.get("Authorization") for r in site.requests] == [f"Bearer {TOKEN}"] * 2
        assert [r.get("Authorization") for r in elsewhere.requests] == [None]

        download(elsewhere.url, target)
        assert [r.get("Authorization") for r in elsewhere.requests] == [None, None]


@pytest.mark.parametrize("code", [401, 403, 404, 429, 500])
@pytest.mark.parametrize("redirected", [True, False])
def test_messages_hold_no_secrets(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch, code: int, redirected: bool
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", site.origin)
    with serving() as elsewhere:
        elsewhere.answers = [status(code)]
        site.answers = (
            [status(302, Location=f"{elsewhere.url}?signature={SIGNATURE}")] if redirected else [status(code)]
        )
        with pytest.raises(Da2kError) as caught:
            download(f"{site.url}?token={TOKEN}", target, patience=QUICK)
    told = str(caught.value) + "".join(traceback.format_exception(caught.value))
    assert TOKEN not in told
    assert SIGNATURE not in told
    if code in (401, 403):
        assert "the token in HF_TOKEN does not open it" in str(caught.value)


def test_without_a_token_a_refusal_says_so(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", site.origin)
    site.answers = [status(401)]
    with pytest.raises(BadInput, match="HF_TOKEN is not set; accept its terms on its page and set HF_TOKEN"):
        download(site.url, target)


def test_a_token_that_is_none_is_refused_unprinted(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}\nX-Other: 1")
    monkeypatch.setenv("HF_ENDPOINT", site.origin)
    with pytest.raises(BadInput, match=r"^HF_TOKEN: holds a character") as caught:
        download(site.url, target)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert site.requests == []


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make a certificate")
    path = tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*make.split(), "-keyout", path, "-out", tmp_path / "part"], check=True, capture_output=True)
    with path.open("ab") as f:
        f.write((tmp_path / "part").read_bytes())
    return path


def secure(site: Site, certificate: Path) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    return site.url.replace("http:", "https:")


def test_no_redirect_from_https_to_http(
    site: Site, target: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving() as plain:
        plain.answers = [file()]
        site.answers = [status(302, Location=plain.url), file()]
        url = secure(site, certificate)
        with pytest.raises(BadInput, match=r"redirects from https to http, 127\.0\.0\.1; not followed"):
            download(url, target)
        assert plain.requests == []
    download(url, target)
    assert target.read_bytes() == BODY


def test_an_unknown_certificate_ends_it_at_once(site: Site, target: Path, certificate: Path) -> None:
    site.answers = [file()]
    with pytest.raises(Unreachable, match=r"its certificate cannot be trusted \(self-signed certificate\)"):
        download(secure(site, certificate), target, patience=Patience(first_pause=10_000, longest_pause=10_000))
    assert site.requests == []


def child(url: str, target: Path, before: str = "") -> "subprocess.Popen[str]":
    code = f"{before}from pathlib import Path\nfrom da2k.datasets.download import download\n"
    code += f"download({url!r}, Path({str(target)!r}))"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not true():
        assert time.monotonic() < give_up, "what the test waits for does not happen"
        time.sleep(0.01)


def test_a_second_process_is_refused_and_a_killed_one_carried_on(site: Site, target: Path) -> None:
    site.answers = [site.stalled(after=70_000), file()]
    part = target.parent / "data.zip.part"
    with child(site.url, target) as first:
        wait_until(lambda: part.exists() and part.stat().st_size == 70_000)
        with pytest.raises(BadInput, match=f"data.zip: process {first.pid} on .* is working on it; let it finish"):
            download(site.url, target)
        os.kill(first.pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        first.communicate()
    assert not target.exists()

    assert download(site.url, target, sha256(BODY)) == sha256(BODY)

    assert target.read_bytes() == BODY
    assert left(target) == ["data.zip"]
    assert len(site.requests) == 2
    assert site.requests[1]["Range"] == "bytes=70000-"
