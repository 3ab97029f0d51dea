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

from da2k.errors import BadInput, MissingExtra, Unreachable

ResultT = TypeVar("ResultT")
Rows = Sequence[Mapping[str, Any]]


class Unsure(Unreachable):
    """A request failed on its way, and the server may or may not have done it."""


class NotThere(BadInput):
    """The server has no such thing."""


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

    def pause(self, attempt: int) -> None:
        """Wait after the attempt of this number, from 0."""
        time.sleep(min(self.longest, self.wait * 2**attempt))


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
        if not token.strip() or not token.strip().isascii() or not token.strip().isprintable():
            raise BadInput(
                "the token is empty or no token; copy it from Label Studio: Account & Settings, Access Token"
            )
        # A redirect would be followed with another method and, elsewhere, without the token; it is told instead.
        client = httpx.Client(timeout=patience.timeout, follow_redirects=False)
        sdk: Any = LabelStudio  # its types are generated, and wider than what the server sends
        self._sdk = self._ask(
            lambda: sdk(
                base_url=self.url, api_key=token.strip(), httpx_client=client, timeout=patience.timeout, max_retries=0
            )
        )
        self.user = int(self.read(lambda: self._sdk.users.whoami()).id)

    def read(self, request: Callable[[], ResultT]) -> ResultT:
        """Make a request that changes nothing, again and again while it fails on its way."""
        for attempt in range(self.patience.attempts - 1):
            try:
                return self._ask(request)
            except Unsure:
                self.patience.pause(attempt)
        return self._ask(request)

    def people(self) -> dict[str, str]:
        """The e-mail address of each user of the server, by number as text."""
        return {str(user.id): str(user.email) for user in self.read(lambda: self._sdk.users.list())}

    def project(self, number: int) -> Project:
        """A project.

        Raises:
            NotThere: it was deleted.
        """
        try:
            return _project(self.read(lambda: self._sdk.projects.get(id=number)))
        except NotThere:
            raise NotThere(
                f"project {number} is not on {self.url} any more, or not for this user; "
                "to begin a new one, push with --new-project"
            ) from None

    def projects_with(self, tag: str) -> list[Project]:
        """The projects whose description holds this text."""
        found: list[Project] = []
        for number in range(1, 10_000):
            page = self.read(partial(self._page, self._sdk.projects.list, page=number, page_size=100))
            found += [_project(project) for project in page if tag in (project.description or "")]
            if len(page) < 100:
                break
        return found

    def create_project(self, **fields: Any) -> int:
        """Make a project; its number.

        Raises:
            Unsure: it may have been made.
        """
        return int(self._ask(lambda: self._sdk.projects.create(**fields)).id)

    def update_project(self, number: int, **fields: Any) -> None:
        """Change a project; doing it twice does no harm, so it is repeated."""
        self.read(lambda: self._sdk.projects.update(id=number, **fields))

    def task_pages(self, project: int, *, since: str | None = None, only_ids: bool = False) -> Iterator[Rows]:
        """The tasks of a project by rising number, a thousand at a time.

        Args:
            project: its number.
            since: only those changed after this time, ISO 8601.
            only_ids: only `id` and `data`, which is quick; otherwise all there is, annotations included.

        Raises:
            NotThere: the project was deleted.
        """
        query: dict[str, Any] = {"ordering": ["tasks:id"]}
        if since:
            of_time = {"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": since}
            query["filters"] = {"conjunction": "and", "items": [of_time]}
        what: dict[str, Any] = {"include": "id,data"} if only_ids else {"fields": "all"}
        size = 1000
        for number in range(1, 1_000_000):
            try:
                page = self.read(
                    partial(
                        self._page,
                        self._sdk.tasks.list,
                        project=project,
                        page=number,
                        page_size=size,
                        query=dumps(query),
                        **what,
                    )
                )
            except NotThere:
                self.project(project)  # gone, or only past its last page
                return
            if page:
                yield [task.model_dump() for task in page]
            if len(page) < size:
                return

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
        found: Mapping[str, Any] = self.read(lambda: self._sdk.tasks.get(id=str(number))).model_dump()
        return found

    def delete_task(self, number: int) -> None:
        """Delete a task; one that is gone already is no error."""
        try:
            self.read(lambda: self._sdk.tasks.delete(id=str(number)))
        except NotThere:
            return

    def local_storages(self, project: int) -> list[str]:
        """The folders, as the server calls them, whose files the project may show."""
        return [str(s.path) for s in self.read(lambda: self._sdk.import_storage.local.list(project=project))]

    def add_local_storage(self, project: int, path: str) -> None:
        """Let a project show the files of a folder, which has to lie inside the server's document root."""
        self._ask(
            lambda: self._sdk.import_storage.local.create(
                project=project, path=path, use_blob_urls=True, regex_filter="^$", title="da2k pictures"
            )
        )

    def fetch(self, path: str) -> bytes:
        """A file of the server's, such as "/data/local-files/?d=…".

        Raises:
            NotThere: it is not there, or not for us.
        """
        return bytes(self.read(lambda: self._raw("GET", path)).content)

    def upload(self, project: int, files: Sequence[tuple[str, bytes]]) -> None:
        """Upload at most a hundred pictures, names and bytes.

        Raises:
            Unsure: they may have arrived.
        """
        sent = {name: (name, data, "image/jpeg") for name, data in files}
        self._ask(lambda: self._raw("POST", f"/api/projects/{project}/import?commit_to_project=false", files=sent))

    def uploads(self, project: int) -> list[str]:
        """The paths, from the server's root, of all files uploaded to a project."""
        found = self.read(lambda: self._sdk.files.list(id=project, all_=True))
        return [f"/data/{str(each.file).removeprefix('/data/').lstrip('/')}" for each in found]

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
            raise ApiError(status_code=answer.status_code, headers=dict(answer.headers))
        return answer

    def _ask(self, request: Callable[[], ResultT]) -> ResultT:
        """Make a request once; what can go wrong becomes one line, without what the server wrote if that is a page."""
        import httpx
        from label_studio_sdk.core.api_error import ApiError
        from pydantic import ValidationError

        try:
            return request()
        except ApiError as e:
            raise self._refusal(e) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError):
            raise BadInput(f"{self.url}: no address that can be asked") from None
        except httpx.TimeoutException:
            raise Unsure(f"{self.url}: no answer within {self.patience.timeout:g} s") from None
        except httpx.ConnectError as e:
            raise Unsure(f"{self.url}: nothing answers there ({_first(e)}); is Label Studio running?") from None
        except httpx.HTTPError as e:
            raise Unsure(f"{self.url}: the connection was cut ({_first(e)})") from None
        except (ValueError, ValidationError):  # an answer that is no JSON, or not of Label Studio's
            raise Unreachable(f"{self.url}: what answers there is no Label Studio; check the address") from None

    def _refusal(self, error: Any) -> Exception:
        status, told = error.status_code, _told(error.body)
        if status == 401:
            if "legacy" in told.lower():
                return BadInput(
                    f"{self.url}: legacy tokens are switched off there; use a personal access token, or have an "
                    "administrator switch them on (Organization, Access Token Settings)"
                )
            return BadInput(f"{self.url}: the token is refused; copy it anew from Label Studio, Account & Settings")
        if status == 403:
            return BadInput(f"{self.url}: this user may not do that ({told or 'no reason given'})")
        if status == 404:
            return NotThere(f"{self.url}: not found there")
        if status == 429:
            return Unsure(f"{self.url}: the server asks for fewer requests (429); wait, and run the same command again")
        if status is None or 300 <= status < 400:
            return Unreachable(
                f"{self.url}: what answers there is no Label Studio, or sends on elsewhere; "
                "check the address, https included"
            )
        if status >= 500 or status == 408:
            return Unsure(f"{self.url}: the server failed ({status}); see its log")
        return BadInput(f"{self.url}: refused ({status}): {told or 'no reason given'}")


def checked_url(url: str) -> str:
    """The address of a server without a slash at its end.

    Raises:
        BadInput: it is none, or holds a password.
    """
    try:
        parts = urlsplit(url.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise BadInput(f'"{url}" is no address of a server') from None
    if parts.username or parts.password:
        raise BadInput("the address holds a name or a password; leave them out, the token is enough")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or not port_is_fine:
        raise BadInput(f'"{url}" is no address of a server; it looks like http://127.0.0.1:8080')
    return url.strip().rstrip("/")


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


def _told(body: Any) -> str:
    """What the server says is wrong, on one short line; nothing if it is a page."""
    if isinstance(body, Mapping):
        errors = body.get("validation_errors")
        body = "; ".join(f"{k}: {v}" for k, v in errors.items()) if isinstance(errors, Mapping) else body.get("detail")
    text = " ".join(str(body or "").split())
    return "" if "<" in text else text[:200]


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
