"""What a run has finished so far, kept on disk so that a killed run carries on."""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from da2k.errors import BadInput


class Journal:
    """Values read from finished images, one transaction an image.

    A journal belongs to one piece of work, named by a fingerprint of everything that determines its values;
    opened under another fingerprint it starts empty. SQLite's write-ahead log survives `kill -9`.

    Raises:
        BadInput: the file is no journal, or cannot be written.
    """

    def __init__(self, path: Path | None, fingerprint: str) -> None:
        self.path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS work (fingerprint TEXT)")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS images (name TEXT PRIMARY KEY, digest TEXT, kind TEXT, data BLOB)"
            )
            if self._db.execute("SELECT fingerprint FROM work").fetchall() != [(fingerprint,)]:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("DELETE FROM work")
                self._db.execute("DELETE FROM images")
                self._db.execute("INSERT INTO work VALUES (?)", (fingerprint,))
                self._db.execute("COMMIT")
        except (sqlite3.Error, OSError) as e:
            todo = "delete that file, or choose another place" if path and path.exists() else "choose another place"
            raise BadInput(f"{path}: progress cannot be kept here ({e}); {todo} with --out") from None

    def digest(self, name: str) -> str | None:
        """The digest of the input that this image was finished with, or None."""
        row = self._db.execute("SELECT digest FROM images WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def values(self, name: str) -> tuple[str, NDArray[np.float64]]:
        """The kind and the values of a finished image."""
        kind, data = self._db.execute("SELECT kind, data FROM images WHERE name = ?", (name,)).fetchone()
        return kind, np.frombuffer(data, np.float64)

    def add(self, name: str, digest: str, kind: str, values: NDArray[np.float64]) -> None:
        """Record a finished image."""
        data = np.ascontiguousarray(values, np.float64).tobytes()
        try:
            self._db.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?)", (name, digest, kind, data))
        except sqlite3.Error as e:
            raise BadInput(f"{self.path}: progress cannot be written ({e}); free disk space and run again") from None

    def finish(self) -> None:
        """Close the journal and remove its file: nothing is left to carry on with."""
        self._db.close()
        if self.path is not None:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._is_empty():
            self.finish()
        self._db.close()

    def _is_empty(self) -> bool:
        return bool(self._db.execute("SELECT COUNT(*) FROM images").fetchone() == (0,))
