"""Three ways in which the pictures reach the people: from files that the server reads, uploaded, or in the tasks."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from da2k.annotation.once import batches, found_or_made
from da2k.annotation.server import NotThere, Server, Unsure
from da2k.construction.stages import Progress
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput

Images = Literal["local", "upload", "inline"]
Address = Callable[[str], str]
"""What a task says where a picture is, by the name of its file."""

ROOT = "annotation"
"""The folder in a workspace that a server on this machine serves files from."""
PICTURES = "pictures"
"""The folder of pictures, where nothing else names it."""
MOST_FILES, MOST_BYTES = 50, 20_000_000
"""What one upload holds at most; the server takes a hundred files."""


@dataclass(frozen=True)
class Pictures:
    """How pictures reach the people.

    Attributes:
        images: "local", the server reads them from a folder that it shares with us; "upload", they are copied to it;
            "inline", they stand in the tasks.
        root: the folder that the server serves local files from; None is `annotation` in the workspace.
        server_root: what the server calls it, if another name.
    """

    images: Images = "local"
    root: Path | None = None
    server_root: str | None = None

    def folder(self, workspace: Workspace) -> Path:
        """Where the pictures of a workspace are drawn: under the root, never the root itself."""
        if self.root is None:
            return workspace.folder / ROOT / PICTURES
        return self.root / (workspace.folder.resolve().name or PICTURES)

    def deliver(
        self, workspace: Workspace, server: Server, project: int, names: Sequence[str], progress: Progress | None
    ) -> Address:
        """Make these files of the folder visible to a project, and say where.

        Raises:
            BadInput: the server cannot show them, and what to do.
            Unsure: it does not answer.
        """
        folder = self.folder(workspace)
        if self.images == "upload":
            return upload(server, project, folder, names, progress)
        if self.images == "inline":
            return inline(folder)
        root = self.server_root or str(folder.parent.resolve())
        return local(server, project, folder, f"{root.rstrip('/')}/{folder.name}", names)


def read_picture(path: Path) -> bytes:
    """A picture's bytes.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None


def inline(folder: Path) -> Address:
    """The pictures stand in the tasks; nothing else is needed, and everything is large."""
    return lambda name: "data:image/jpeg;base64," + b64encode(read_picture(folder / name)).decode()


def local(server: Server, project: int, folder: Path, path: str, names: Sequence[str]) -> Address:
    """The server reads the pictures from a folder of its own machine, or of one that both see.

    Args:
        server: shows them.
        project: its number.
        folder: of the pictures, inside the server's document root.
        path: what the server calls that folder.
        names: their files; the first is fetched to see that it works.

    Raises:
        BadInput: it does not, and what to do.
    """
    todo = (
        "start it with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={path.rpartition('/')[0]}, or push with --images upload"
    )

    def address(name: str) -> str:
        return f"/data/local-files/?d={quote(path.rpartition('/')[2])}/{quote(name)}"

    if not names:
        return address
    try:
        _storage(server, project, path)
    except BadInput as e:
        why = str(e).removeprefix(f"{server.url}: ")
        raise BadInput(f"{server.url}: it cannot show the pictures in {path} ({why}); {todo}") from None
    picture = read_picture(folder / names[0])
    try:
        seen = server.fetch(address(names[0]))
    except NotThere:
        raise BadInput(f"{server.url}: it cannot read {path}/{names[0]} (not found there); {todo}") from None
    except Unsure as e:
        raise Unsure(f"{e}; it was asked for {path}/{names[0]}, and may not be allowed to read it") from None
    if seen != picture:
        raise BadInput(f"{server.url}: what it shows as {path}/{names[0]} is not the file in {folder}; {todo}")
    return address


def upload(server: Server, project: int, folder: Path, names: Sequence[str], progress: Progress | None) -> Address:
    """The pictures are copied to the server; those that are there are not copied again.

    Raises:
        Unsure: again and again nothing arrived, or the server does not answer.
    """
    wanted = {name: f"{hashlib.sha256(read_picture(folder / name)).hexdigest()[:32]}.jpg" for name in names}
    there = _uploaded(server, project) if wanted else {}
    in_vain = 0
    while missing := {sent: name for name, sent in wanted.items() if sent not in there}:
        failure = None
        done = len(wanted) - len(missing)
        try:
            files = ((sent, read_picture(folder / name)) for sent, name in missing.items())
            for batch in batches(files, MOST_FILES, MOST_BYTES, lambda file: len(file[1])):
                if progress:
                    progress(done, len(wanted))
                server.upload(project, batch)
                done += len(batch)
        except Unsure as e:
            failure = e
        if failure:
            server.patience.pause(in_vain, failure.after)
        there = _uploaded(server, project)
        in_vain = in_vain + 1 if not any(sent in there for sent in missing) else 0
        if in_vain >= server.patience.attempts:
            raise failure or Unsure(f"{server.url}: pictures that project {project} took are not there; see its log")
    if progress and wanted:
        progress(len(wanted), len(wanted))
    return lambda name: there[wanted[name]]


def _storage(server: Server, project: int, path: str) -> None:
    """Let the project show the folder's files; once."""

    def look() -> str | None:
        return path if path in server.local_storages(project) else None

    def make() -> str:
        server.add_local_storage(project, path)
        return path

    found_or_made(look, make, server.patience)


def _uploaded(server: Server, project: int) -> dict[str, str]:
    """The paths of uploaded files by the names we gave them: the server puts some letters and a dash before."""
    return {path.rpartition("-")[2]: path for path in server.uploads(project)}
