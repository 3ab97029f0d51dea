"""A proxy between a client and a server that does to requests what networks and servers do."""

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = ("before", "during", "after", "half", "late", "slow", "500", "500 after", "502", "429")
"""before: dropped before the server sees it; during: the server gets half of it; after: done, and the answer is
dropped; half: half of the answer comes; late: the client has given up when the server gets it; slow: the server has
done it, and the client has given up when the answer comes; the rest: that status, "after" once the server did it."""

PAGE = b"<!DOCTYPE html><html><body>" + b"<p>Something went wrong.</p>" * 500 + b"</body></html>"


@dataclass
class FaultProxy:
    """`url` stands for the server's; each request takes the next of `faults`, and none once there are no more.

    `delay` is how many seconds a request or an answer is held up, unless `released` is set before.
    """

    upstream: str
    faults: Iterator[str | None]
    delay: float
    url: str = ""
    dealt: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str]] = field(default_factory=list)
    on_request: Callable[[str, str], None] | None = None
    released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: int = 0

    def next_fault(self) -> str | None:
        with self._lock:
            self._running += 1
            fault = next(self.faults, None)
            if fault:
                self.dealt[fault] += 1
            return fault

    def done(self) -> None:
        with self._lock:
            self._running -= 1

    def wait_until_quiet(self) -> None:
        """Until no request is under way any more, late ones included."""
        while self._running:
            time.sleep(0.02)


SLOW = ("late", "slow")


def schedule(seed: int, faults: int, share: float = 0.5) -> Iterator[str | None]:
    """So many faults, by chance; a request suffers one with this probability. Those that take time come twice each."""
    chance = random.Random(seed)
    quick = [fault for fault in FAULTS if fault not in SLOW]
    coming = [*SLOW, *SLOW, *(quick[i % len(quick)] for i in range(faults - 2 * len(SLOW)))]
    chance.shuffle(coming)
    for fault in coming:
        while chance.random() > share:
            yield None
        yield fault


@contextmanager
def fault_proxy(upstream: str, faults: Iterable[str | None] = (), delay: float = 1.0) -> Iterator[FaultProxy]:
    """A proxy on 127.0.0.1; `delay` has to be longer than the client waits."""
    proxy = FaultProxy(upstream, iter(faults), delay)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.wait_until_quiet()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    place = urlsplit(proxy.upstream)

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

        def work(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.requests.append((self.command, self.path))
            if proxy.on_request:
                proxy.on_request(self.command, self.path)
            fault = proxy.next_fault()
            try:
                self.deal(fault, body)
            finally:
                proxy.done()

        def deal(self, fault: str | None, body: bytes) -> None:
            self.close_connection = True
            if fault in ("500", "502", "429"):
                return self.answer(int(fault), {"Content-Type": "text/html", "Retry-After": "7"}, PAGE)
            if fault == "before":
                return self.cut()
            if fault == "during":
                self.send_half(body)
                return self.cut()
            if fault == "late":
                proxy.released.wait(proxy.delay)
            try:
                status, headers, data = self.ask(body)
            except (OSError, http.client.HTTPException):
                return self.cut()
            if fault == "slow":
                proxy.released.wait(proxy.delay)
            if fault == "after":
                return self.cut()
            if fault == "500 after":
                return self.answer(500, {"Content-Type": "text/html"}, PAGE)
            return self.answer(status, headers, data, whole=fault != "half")

        def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "accept-encoding")}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            data = answer.read()
            kept = {k: v for k, v in answer.getheaders() if k.lower() in ("content-type", "location", "set-cookie")}
            connection.close()
            return answer.status, kept, data

        def send_half(self, body: bytes) -> None:
            """The head, which promises the whole body, and half of that; of a request without one, half the head."""
            head = f"{self.command} {self.path} HTTP/1.1\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            message = (f"{head}\r\n".encode() + body[: len(body) // 2]) if body else head[: len(head) // 2].encode()
            with socket.create_connection((place.hostname, place.port), timeout=60) as upstream:
                upstream.sendall(message)

        def answer(self, status: int, headers: dict[str, str], data: bytes, *, whole: bool = True) -> None:
            try:
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(data if whole else data[: len(data) // 2])
            except OSError:
                pass  # the client has given up
            if not whole:
                self.cut()

        def cut(self) -> None:
            with suppress(OSError):  # the client was faster
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            pass

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = work  # noqa: N815

    return Handler
