"""A Label Studio server, spoken to through its SDK; the only module that imports it.

Reading is repeated after a failure. **Writing never is**: after a failure nobody knows whether the server did what it
was asked, and asking again would do it twice. A write that may have been done raises `Unsure`, and the caller looks.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from json import dumps
from typing import Any, TypeVar
from urllib.parse import urlsplit

from da2k.annotation.refusals import NotThere, Unsure, hidden, no_label_studio, refusal
from da2k.errors import BadInput, Da2kError, MissingExtra

__all__ = ["NotThere", "Patience", "Project", "Rows", "Server", "Unsure", "checked_url"]

ResultT = TypeVar("ResultT")
Rows = Sequence[Mapping[str, Any]]

_WITH_ANNOTATIONS = "id,project,data,meta,updated_at,annotations,result,completed_by,was_cancelled,created_at,lead_time"
"""Fields of a task and of its annotations; without the others the server answers in half the time."""
_BRIEFLY = "id,data,meta,overlap,is_labeled,total_annotations,cancelled_annotations"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on when a server does not answer.

    Attributes:
        timeout: seconds to wait for one answer.
        attempts: times that a request is made, or a write is looked after, before it is given up.
        wait: seconds before the second attempt; each further wait is twice the one before, `longest` at most.
    """

    timeout: float = 300.0
    attempts: int = 6
    wait: float = 1.0
    longest: float = 30.0

    def pause(self, attempt: int, asked: float = 0.0) -> None:
        """Wait after the attempt of this number, from 0; longer, if the server asked for that many seconds."""
        time.sleep(min(self.longest, max(asked, self.wait * 2**attempt)))


@dataclass(frozen=True, slots=True)
class Project:
    """A project as the server describes it.

    Attributes:
        interface: its labelling interface, XML.
        overlap: people who answer each task.
        tasks, annotations, skipped: how many it holds; a skipped one is not among the annotations.
    """

    id: int
    title: str
    description: str
    interface: str
    overlap: int
    tasks: int
    annotations: int
    skipped: int


class Server:
    """A Label Studio server that lets us in.

    Attributes:
        url: where it is, without a slash at its end.
        user: the number of the user whose token it is.

    Raises:
        BadInput: the URL is none, or the token is refused. The token is in no message.
        Unreachable: nothing answers there, or something that is no Label Studio does.
        MissingExtra: label-studio-sdk is not installed.
    """

    def __init__(self, url: str, token: str, patience: Patience = Patience()) -> None:
        try:
            import httpx
            from label_studio_sdk import LabelStudio
        except ImportError:
            raise MissingExtra("label-studio-sdk", "annotation") from None
        self.url = checked_url(url)
        self.patience = patience
        self._token = token.strip()
        del token  # a traceback that shows local variables would show it
        if not self._token or not self._token.isascii() or not self._token.isprintable():
            raise BadInput(
                "the token is empty or no token; copy it from Label Studio: Account & Settings, Access Token"
            )
        sdk: Any = LabelStudio  # its types are generated, and wider than what the server sends

        def connect() -> Any:
            # A redirect would be followed with another method and, elsewhere, without the token; it is told instead.
            client = httpx.Client(timeout=patience.timeout, follow_redirects=False)
            # The slash keeps the SDK, where it exchanges a personal access token, from dropping the path of a URL.
            return sdk(base_url=f"{self.url}/", api_key=self._token, httpx_client=client, max_retries=0)

        self._sdk = self._ask(connect)
        # A wrong address is told soon, not after all the patience that there is for a server once it is known.
        self.user = self.read(lambda: int(self._sdk.users.whoami().id), attempts=2)

    def read(self, request: Callable[[], ResultT], attempts: int | None = None) -> ResultT:
        """Make a request that changes nothing, again and again while it fails on its way."""
        for attempt in range(min(attempts or self.patience.attempts, self.patience.attempts) - 1):
            try:
                return self._ask(request)
            except Unsure as e:
                asked = e.after
            self.patience.pause(attempt, asked)
        return self._ask(request)

    def people(self) -> dict[str, str]:
        """The e-mail address of each user of the server, by number as text."""
        return self.read(lambda: {str(user.id): str(user.email) for user in self._sdk.users.list()})

    def project(self, number: int) -> Project:
        """A project.

        Raises:
            NotThere: it was deleted.
        """
        try:
            return self.read(lambda: _project(self._sdk.projects.get(id=number)))
        except NotThere:
            raise NotThere(
                f"project {number} is not on {self.url} any more, or not for this user; "
                "to begin a new one, push with --new-project"
            ) from None

    def projects_with(self, tag: str) -> list[Project]:
        """The projects whose description holds this text, by number."""
        found: dict[int, Project] = {}
        for number in range(1, 10_000):
            try:
                page = self.read(partial(self._page, self._sdk.projects.list, page=number, page_size=100))
            except NotThere:  # past the last page
                break
            found |= {int(project.id): _project(project) for project in page if tag in (project.description or "")}
            if not page:
                break
        return [found[number] for number in sorted(found)]

    def create_project(self, **fields: Any) -> int:
        """Make a project; its number.

        Raises:
            Unsure: it may have been made.
        """
        return self._ask(lambda: int(self._sdk.projects.create(**fields).id))

    def update_project(self, number: int, **fields: Any) -> None:
        """Change a project; doing it twice does no harm, so it is repeated."""
        self.read(lambda: self._sdk.projects.update(id=number, **fields))

    def task_pages(
        self, project: int, *, since: str | None = None, only_ids: bool = False, size: int = 1000
    ) -> Iterator[Rows]:
        """The tasks of a project by rising number; each once, though others are made or deleted meanwhile.

        Args:
            project: its number.
            since: only those changed after this time, ISO 8601.
            only_ids: only what a task says and how many people it wants and has, which is quick; otherwise its
                annotations too, and what an answer is made from.
            size: tasks a page.

        Raises:
            NotThere: the project was deleted.
        """
        what: dict[str, Any] = {"include": _BRIEFLY} if only_ids else {"fields": "all", "include": _WITH_ANNOTATIONS}
        recent = [_filter("updated_at", "Datetime", since)] if since else []
        last = 0
        while True:
            items = [*recent, _filter("id", "Number", last)]
            query = dumps({"ordering": ["tasks:id"], "filters": {"conjunction": "and", "items": items}})
            listing = partial(self._sdk.tasks.list, project=project, page=1, page_size=size, query=query, **what)
            try:
                page = self.read(partial(_rows, partial(self._page, listing)))
            except NotThere:
                self.project(project)  # says so, if it is the project that is gone
                return
            if not page:
                return
            yield page
            last = int(page[-1]["id"])

    def import_tasks(self, project: int, tasks: Rows) -> None:
        """Send tasks, all or none of which arrive.

        Raises:
            Unsure: they may have arrived.
        """
        self._ask(lambda: self._sdk.projects.import_tasks(id=project, request=tasks))

    def update_task(self, number: int, **fields: Any) -> None:
        """Change a task; doing it twice does no harm, so it is repeated."""
        self.read(lambda: self._sdk.tasks.update(id=str(number), **fields))

    def task(self, number: int) -> Mapping[str, Any]:
        """A task with its annotations and drafts.

        Raises:
            NotThere: it was deleted.
        """
        found: Mapping[str, Any] = self.read(lambda: self._sdk.tasks.get(id=str(number)).model_dump())
        return found

    def delete_task(self, number: int) -> None:
        """Delete a task; one that is gone already is no error."""
        try:
            self.read(lambda: self._sdk.tasks.delete(id=str(number)))
        except NotThere:
            return

    def local_storages(self, project: int) -> list[str]:
        """The folders, as the server calls them, whose files the project may show."""
        return self.read(lambda: [str(each.path) for each in self._sdk.import_storage.local.list(project=project)])

    def add_local_storage(self, project: int, path: str) -> None:
        """Let a project show the files of a folder, which has to lie inside the server's document root."""
        self._ask(
            lambda: self._sdk.import_storage.local.create(
                project=project, path=path, use_blob_urls=True, regex_filter="^$", title="da2k pictures"
            )
        )

    def fetch(self, path: str, attempts: int | None = None) -> bytes:
        """A file of the server's, such as "/data/local-files/?d=…".

        Raises:
            NotThere: it is not there, or not for us.
        """
        return self.read(lambda: bytes(self._raw("GET", path).content), attempts)

    def upload(self, project: int, files: Sequence[tuple[str, bytes]]) -> None:
        """Upload at most a hundred pictures, names and bytes.

        Raises:
            Unsure: they may have arrived.
        """
        sent = {name: (name, data, "image/jpeg") for name, data in files}
        try:
            self._ask(lambda: self._raw("POST", f"/api/projects/{project}/import?commit_to_project=false", files=sent))
        except BadInput as e:
            # The server stores the files, and then finds that it can make no tasks of them, which nobody wants.
            if "more than one data key" not in str(e):
                raise

    def uploads(self, project: int) -> list[str]:
        """The paths, from the server's root, of all files uploaded to a project."""
        found = self.read(lambda: [str(each.file) for each in self._sdk.files.list(id=project, all_=True)])
        return [f"/data/{file.removeprefix('/data/').lstrip('/')}" for file in found]

    @staticmethod
    def _page(listing: Callable[..., Any], **which: Any) -> list[Any]:
        """One page of a listing: the SDK's own walk over pages takes a project that vanished for its end."""
        return list(listing(**which).items or [])

    def _raw(self, method: str, path: str, **more: Any) -> Any:
        """A request that the SDK has no call for, with its way of authorisation."""
        from label_studio_sdk.core.api_error import ApiError

        client = self._sdk._client_wrapper.httpx_client
        answer = client.request(path.lstrip("/"), method=method, request_options={"max_retries": 0}, **more)
        if not 200 <= answer.status_code < 300:
            body = answer.json() if "json" in answer.headers.get("content-type", "") else None
            raise ApiError(status_code=answer.status_code, headers=dict(answer.headers), body=body)
        return answer

    def _ask(self, request: Callable[[], ResultT]) -> ResultT:
        """Make a request once; what can go wrong becomes one line, without what the server wrote if that is a page."""
        import httpx
        from label_studio_sdk.core.api_error import ApiError
        from pydantic import ValidationError

        failure: Da2kError
        try:
            return request()
        except ApiError as e:
            failure = refusal(self.url, e.status_code, e.body, e.headers or {}, self._token)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError):
            failure = BadInput(f"{self.url}: no address that can be asked")
        except httpx.TimeoutException:
            failure = Unsure(f"{self.url}: no answer within {self.patience.timeout:g} s")
        except httpx.ConnectError as e:
            failure = Unsure(f"{self.url}: nothing answers there ({self._first(e)}); is Label Studio running?")
        except httpx.HTTPError as e:
            failure = Unsure(f"{self.url}: the connection was cut ({self._first(e)}); run the same command again")
        except (ValueError, ValidationError, AttributeError, TypeError, KeyError):
            failure = no_label_studio(self.url)  # an answer that is no JSON, or JSON of another shape
        # Raised here, so that neither the token in the SDK's frames nor a page hangs on it.
        raise failure

    def _first(self, error: Exception) -> str:
        return hidden(" ".join(str(error).split())[:100], self._token) or type(error).__name__


def checked_url(url: str) -> str:
    """The address of a server, so that one that is written otherwise is the same text: without a slash at its end.

    Raises:
        BadInput: it is none, or holds a password.
    """
    try:
        parts = urlsplit(url.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    if "@" in url:
        raise BadInput("the address holds a name or a password; leave them out, the token is enough")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or not port_is_fine:
        raise BadInput(f'"{url}" is no address of a server; it looks like http://127.0.0.1:8080')
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _project(found: Any) -> Project:
    return Project(
        int(found.id),
        str(found.title or ""),
        str(found.description or ""),
        str(found.label_config or ""),
        int(found.maximum_annotations or 1),
        int(found.task_number or 0),
        int(found.total_annotations_number or 0),
        int(found.skipped_annotations_number or 0),
    )


def _filter(column: str, kind: str, value: object) -> dict[str, object]:
    """Tasks whose column is greater than a value, as the server wants it said."""
    return {"filter": f"filter:tasks:{column}", "operator": "greater", "type": kind, "value": value}


def _rows(page: Callable[[], list[Any]]) -> Rows:
    return [task.model_dump() for task in page()]
