"""What a run has finished so far, kept on disk so that a killed run carries on."""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
        self._fingerprint = fingerprint
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as e:
                raise self._error(e) from None
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=30)
        except sqlite3.Error as e:
            raise self._error(e) from None
        self._run("PRAGMA journal_mode=WAL")
        self._run("PRAGMA synchronous=NORMAL")
        columns = "fingerprint TEXT, name TEXT, digest TEXT, kind TEXT, data BLOB"
        self._run(f"CREATE TABLE IF NOT EXISTS images ({columns}, PRIMARY KEY (fingerprint, name))")
        self._run("DELETE FROM images WHERE fingerprint != ?", fingerprint)

    def digest(self, name: str) -> str | None:
        """The digest of the input that this image was finished with, or None."""
        found = self._run("SELECT digest FROM images WHERE fingerprint = ? AND name = ?", self._fingerprint, name)
        return found[0][0] if found else None

    def values(self, name: str) -> tuple[str, NDArray[np.float64]]:
        """The kind and the values of a finished image."""
        wanted = "SELECT kind, data FROM images WHERE fingerprint = ? AND name = ?"
        ((kind, data),) = self._run(wanted, self._fingerprint, name)
        return kind, np.frombuffer(data, np.float64)

    def add(self, name: str, digest: str, kind: str, values: NDArray[np.float64]) -> None:
        """Record a finished image."""
        data = np.ascontiguousarray(values, np.float64).tobytes()
        self._run("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", self._fingerprint, name, digest, kind, data)

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
        return self._run("SELECT COUNT(*) FROM images") == [(0,)]

    def _run(self, statement: str, *values: object) -> list[Any]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as e:
            raise self._error(e) from None

    def _error(self, error: Exception) -> BadInput:
        there = self.path is not None and self.path.exists()
        todo = "delete that file, or choose another place" if there else "choose another place"
        return BadInput(f"{self.path}: progress cannot be kept here ({error}); {todo} with --out")
