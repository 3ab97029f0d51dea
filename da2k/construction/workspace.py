"""A benchmark being built: a folder with its settings, its photographs and its state."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from da2k.construction.database import Database
from da2k.construction.settings import FILE_NAME, Settings, read_settings
from da2k.errors import BadInput
from da2k.files import sha256_file
from da2k.images import Photo
from da2k.pairs import scenario_of

IMAGES = "images"
STATE = "state.sqlite"
_LOCK = ".lock.sqlite"


@dataclass(frozen=True, slots=True)
class TakenImage:
    """A photograph as it was taken in.

    Attributes:
        image: `images/<scenario>/<file>`.
        sha256: of the file's bytes.
        size: (height, width) after the EXIF orientation is applied.
        phash: perceptual hash, 16 hex digits.
    """

    image: str
    sha256: str
    size: tuple[int, int]
    phash: str

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return scenario_of(self.image)


@dataclass(frozen=True, eq=False)
class Workspace:
    """An open workspace.

    Attributes:
        folder: holds `da2k.yaml`, `images/` and `state.sqlite`.
        settings: what `da2k.yaml` says.
        db: the state.
        read_only: whether nothing may be written.
    """

    folder: Path
    settings: Settings
    db: Database
    read_only: bool = False

    def images(self) -> list[TakenImage]:
        """The photographs taken in, by path."""
        rows = self.db.run("SELECT image, sha256, height, width, phash FROM images ORDER BY image")
        return [TakenImage(image, sha, (height, width), phash) for image, sha, height, width, phash in rows]

    def photo(self, image: str) -> Photo:
        """A photograph that was taken in; its pixels are read when they are asked for."""
        ((height, width),) = self.db.run("SELECT height, width FROM images WHERE image = ?", image)
        return Photo(image, (height, width), self.folder / image)

    def changed_photos(self) -> dict[str, str]:
        """The photographs whose file is gone or has other bytes than it was taken in with, and what to do.

        A file of the same size and modification time is taken for the same.
        """
        problems, touched = {}, []
        for image, sha256, *stamp in self.db.run("SELECT image, sha256, bytes, mtime_ns FROM images"):
            path = self.folder / image
            init = f"da2k build init {self.folder}"
            try:
                now = path.stat()
                if [now.st_size, now.st_mtime_ns] == stamp:
                    continue
                if sha256_file(path) == sha256:
                    touched.append((now.st_size, now.st_mtime_ns, image))
                else:
                    todo = f"put the old one back, or take the new one in with: {init}"
                    problems[image] = f"{path}: not the file that was taken in any more; {todo}"
            except OSError as e:
                todo = f"put it back, or forget it with: {init} --remove-missing"
                problems[image] = f"{path}: {e.strerror or e}; {todo}"
        if not self.read_only:
            self.db.run_many("UPDATE images SET bytes = ?, mtime_ns = ? WHERE image = ?", touched)
        return problems

    def file_digest(self, path: Path) -> str:
        """SHA-256 of a file, remembered while its size and modification time stay: weights are large.

        A file that is gone counts as unchanged, so that what was made from it stays up to date.

        Raises:
            BadInput: there is no such file, and never was.
        """
        path = path.resolve()
        try:
            now = path.stat()
        except FileNotFoundError as e:
            for (known,) in self.db.run("SELECT sha256 FROM files WHERE path = ?", str(path)):
                return str(known)
            raise BadInput(f"{path}: {e.strerror}") from None
        except OSError as e:
            raise BadInput(f"{path}: {e.strerror or e}") from None
        stamp = (str(path), now.st_size, now.st_mtime_ns)
        known = self.db.run("SELECT sha256 FROM files WHERE path = ? AND bytes = ? AND mtime_ns = ?", *stamp)
        if known:
            return str(known[0][0])
        sha256 = sha256_file(path)
        if not self.read_only:
            self.db.run("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", *stamp, sha256)
        return sha256


@contextmanager
def open_workspace(folder: Path, *, read_only: bool = False) -> Iterator[Workspace]:
    """Open a workspace; unless `read_only`, no other process may have it open for writing.

    Raises:
        BadInput: the folder is no workspace, its settings are wrong, it is of a newer da2k, or it is in use.
    """
    settings = read_settings(folder / FILE_NAME)
    if not (folder / STATE).is_file():
        raise BadInput(f"{folder}: no {STATE}, so nothing was taken in yet; run: da2k build init {folder}")
    if read_only:
        with _closing(Database(folder / STATE, read_only=True)) as db:
            yield Workspace(folder, settings, db, read_only=True)
        return
    with _alone(folder), _closing(Database(folder / STATE)) as db:
        yield Workspace(folder, settings, db)


@contextmanager
def create_workspace(folder: Path, settings: Settings) -> Iterator[Workspace]:
    """Open a workspace with these settings, made if it is not there; `da2k.yaml` is the caller's to write.

    Raises:
        BadInput: as `open_workspace`, or the folder cannot be made.
    """
    with _alone(folder), _closing(Database(folder / STATE)) as db:
        yield Workspace(folder, settings, db)


@contextmanager
def _closing(db: Database) -> Iterator[Database]:
    try:
        yield db
    finally:
        db.close()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the workspace; the lock is SQLite's, so that it goes with the process however that ends."""
    lock = folder / _LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = sqlite3.connect(lock, isolation_level=None, timeout=0)
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as e:
        if "locked" in str(e):
            raise BadInput(f"{folder}: another process works in this workspace; wait for it to end") from None
        raise BadInput(f"{lock}: cannot be written ({e}); check the folder's permissions and the disk") from None
    except OSError as e:
        raise BadInput(f"{folder}: {e.strerror or e}") from None
    try:
        yield
    finally:
        held.close()
