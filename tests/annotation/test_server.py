"""What the client makes of a real server, and of what is none."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from da2k.annotation.refusals import hidden, refusal
from da2k.annotation.server import NotThere, Patience, Server, Unsure, checked_url
from da2k.errors import BadInput, Da2kError, Unreachable
from tests.annotation.fault_proxy import PAGE, fault_proxy

TOKEN = "0123456789abcdef0123456789abcdef01234567"
QUICK = Patience(timeout=2, attempts=3, wait=0.01, longest=0.02)
XML = '<View><Image name="img" value="$image"/><Choices name="c" toName="img"><Choice value="A"/></Choices></View>'


@contextmanager
def answering(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything so; its address, and the headers of authorisation that it was sent."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def told(kind, work):
    """The one line that an error of this kind tells."""
    with pytest.raises(kind) as caught:
        work()
    line = str(caught.value)
    assert isinstance(caught.value, Da2kError)
    assert "\n" not in line
    assert "<" not in line
    assert len(line) < 500
    return line


@pytest.mark.parametrize("url", ["", "nonsense", "127.0.0.1:8080", "ftp://a/", "http://", "http://a:b", "http://a?b"])
def test_no_address(url):
    assert "no address of a server" in told(BadInput, lambda: Server(url, TOKEN))


@pytest.mark.parametrize("url", ["http://ann:secret@a", "http://ann:secret@[a", "ann:secret@a"])
def test_an_address_with_a_password_is_not_repeated(url):
    assert "secret" not in told(BadInput, lambda: Server(url, TOKEN))


def test_a_slash_at_the_end_and_spaces_make_no_difference():
    assert checked_url(" http://a:8080/ls/ ") == "http://a:8080/ls"


@pytest.mark.parametrize("token", ["", "  ", "tök", "a\nb", "a\x00"])
def test_no_token(token):
    assert "token" in told(BadInput, lambda: Server("http://127.0.0.1:9", token))


def test_nothing_answers():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert f"{url}: nothing answers there" in told(Unreachable, lambda: Server(url, TOKEN, QUICK))


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, PAGE, {"Content-Type": "text/html"}),
        (200, b"", {}),
        (200, b"hello", {"Content-Type": "text/plain"}),
        *((200, json.dumps(shape).encode(), {"Content-Type": "application/json"}) for shape in ([], {}, None, 1, "a")),
        (200, b'{"id": "no number", "email": 1}', {"Content-Type": "application/json"}),
        (200, b'{"id": null}', {"Content-Type": "application/json"}),
        (204, b"", {}),
        (302, b"", {"Location": "/elsewhere"}),
    ],
)
def test_something_else_answers_there(status, body, headers):
    with answering(status, body, headers) as (url, _):
        assert "no Label Studio" in told(Unreachable, lambda: Server(url, TOKEN, QUICK))


@pytest.mark.parametrize(
    ("status", "says", "kind"),
    [
        (404, "not found", NotThere),
        (403, "may not do that", BadInput),
        (401, "token is refused", BadInput),
        (413, "too large", BadInput),
        (418, "refused (418)", BadInput),
        (429, "fewer requests", Unsure),
        (500, "failed (500)", Unsure),
        (502, "failed (502)", Unsure),
    ],
)
def test_a_page_instead_of_an_answer_is_never_printed(status, says, kind):
    with answering(status, PAGE, {"Content-Type": "text/html"}) as (url, _):
        assert says in told(kind, lambda: Server(url, TOKEN, QUICK))


def test_the_token_goes_to_no_other_host():
    with answering(200, b"{}") as (other, seen):
        for status in (301, 302, 303, 307, 308):
            with answering(status, b"", {"Location": f"{other}/api/current-user/whoami"}) as (url, asked):
                told(Unreachable, lambda url=url: Server(url, TOKEN, QUICK))
                assert asked == [f"Token {TOKEN}"]
        assert seen == []


def test_a_server_that_asks_to_wait_is_left_alone_for_so_long(monkeypatch):
    waited = []
    monkeypatch.setattr("da2k.annotation.server.time.sleep", waited.append)
    patience = Patience(attempts=4, wait=1, longest=30)
    with answering(429, PAGE, {"Retry-After": "7"}) as (url, asked):
        told(Unsure, lambda: Server(url, TOKEN, patience))
        assert (waited, len(asked)) == ([7.0], 2), "a wrong address is told soon"
    with answering(429, PAGE, {"Retry-After": "7200"}) as (url, _):
        told(Unsure, lambda: Server(url, TOKEN, patience))
        assert waited == [7.0, 30]


def test_what_a_server_repeats_of_the_token_is_hidden():
    body = {"detail": f"bad Token {TOKEN}; and eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl too"}
    line = str(refusal("http://a", 403, body, {}, TOKEN))
    assert TOKEN not in line
    assert "eyJ" not in line
    assert "bad Token …; and … too" in line
    assert hidden("no secret", "") == "no secret"


@pytest.fixture
def server(studio):
    return Server(studio.url, studio.token, Patience(timeout=60, attempts=3, wait=0.02))


@pytest.fixture
def project(server):
    return server.create_project(title="project", label_config=XML)


def tasks(count):
    return [{"data": {"image": "x", "external_id": str(i)}, "meta": {"n": i}} for i in range(count)]


def test_who_we_are(studio, server):
    assert server.user == studio.admin.id
    ann = studio.person("Ann")
    assert server.people()[str(ann.id)] == ann.email
    assert Server(studio.url, ann.token).user == ann.id


def test_a_wrong_token(studio):
    for token in ("x" * 40, "eyJhbGciOiJIUzI1NiJ9.e30.x", TOKEN):
        assert "token is refused" in told(BadInput, lambda token=token: Server(studio.url, token, QUICK))


def test_legacy_tokens_switched_off_and_a_personal_access_token(studio):
    personal = studio.api("POST", "/api/token/").json()["token"]
    settings = {"api_token_ttl_days": 30, "legacy_api_tokens_enabled": False}
    assert studio.api("POST", "/api/jwt/settings", json=settings).status_code in (200, 201)
    try:
        assert "legacy tokens are switched off" in told(BadInput, lambda: Server(studio.url, studio.token, QUICK))
        server = Server(f"{studio.url}/", personal)
        assert server.user == studio.admin.id
    finally:
        server._sdk.jwt_settings.update(api_token_ttl_days=30, legacy_api_tokens_enabled=True)
    assert Server(studio.url, studio.token).user == studio.admin.id
    wrong = personal[:-4] + ("aaaa" if personal[-4:] != "aaaa" else "bbbb")
    line = told(BadInput, lambda: Server(studio.url, wrong, QUICK))
    assert "token is refused" in line


def test_pages_hold_each_task_once_though_tasks_are_deleted_meanwhile(studio, server, project):
    server.import_tasks(project, tasks(9))
    pages = server.task_pages(project, only_ids=True, size=4)
    first = next(pages)
    studio.api("DELETE", f"/api/tasks/{first[0]['id']}")
    rest = [task["data"]["external_id"] for page in pages for task in page]
    assert [task["data"]["external_id"] for task in first] == ["0", "1", "2", "3"]
    assert rest == ["4", "5", "6", "7", "8"]


def test_pages_of_changed_tasks(studio, server, project):
    server.import_tasks(project, tasks(3))
    (page,) = server.task_pages(project)
    seen = max(str(task["updated_at"]) for task in page)
    assert page[0]["annotations"] == []
    assert page[0]["meta"] == {"n": 0}
    studio.api("POST", f"/api/tasks/{page[1]['id']}/annotations/", json={"result": []})
    (changed,) = server.task_pages(project, since=seen.replace("+00:00", "Z").replace(" ", "T"))
    assert [task["id"] for task in changed] == [page[1]["id"]]
    assert len(changed[0]["annotations"]) == 1


def test_a_project_that_vanishes_in_the_middle_of_a_listing_is_no_end_of_it(server, project):
    server.import_tasks(project, tasks(5))
    pages = server.task_pages(project, only_ids=True, size=2)
    next(pages)
    server._sdk.projects.delete(id=project)
    assert f"project {project} is not on" in told(NotThere, lambda: list(pages))
    assert "--new-project" in told(NotThere, lambda: server.project(project))


def test_what_the_server_refuses_of_a_task(server, project):
    line = told(BadInput, lambda: server.import_tasks(project, [{"data": {"nothing": 1}}]))
    assert "refused (400)" in line
    assert server.project(project).tasks == 0


@pytest.mark.parametrize("fault", ["before", "during", "after", "half", "500", "500 after", "502", "429", "slow"])
def test_a_write_is_never_repeated(studio, project, fault):
    with fault_proxy(studio.url, delay=4) as proxy:
        server = Server(proxy.url, studio.token, Patience(timeout=3, attempts=4, wait=0.01))
        proxy.requests.clear()
        proxy.faults = iter([fault] * 9)
        told(Unsure, lambda: server.import_tasks(project, tasks(2)))
        assert len(proxy.requests) == 1
        proxy.faults = iter(())
        done = fault in ("after", "half", "500 after", "slow")
        assert server.project(project).tasks == (2 if done else 0)


@pytest.mark.parametrize("fault", ["before", "during", "after", "half", "500", "500 after", "502", "429"])
def test_reading_is_repeated(studio, project, fault):
    with fault_proxy(studio.url) as proxy:
        server = Server(proxy.url, studio.token, Patience(timeout=30, attempts=4, wait=0.01, longest=0.02))
        proxy.faults = iter([fault] * 3)
        assert server.project(project).title == "project"
        proxy.faults = iter([fault] * 4)
        told(Unsure, lambda: server.project(project))


def test_projects_are_found_by_what_their_description_holds(server):
    made = [server.create_project(title="tagged", description="with a tag 4711 in it") for _ in range(2)]
    assert [project.id for project in server.projects_with("tag 4711")] == made
    assert server.projects_with("tag 4712") == []
