"""`state.sqlite`: everything a workspace knows, in tables that one transaction an image keeps whole."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from da2k.errors import BadInput

MIGRATIONS = (
    # What a stage made of an image counts while `work.key` equals the digest of what it would be made from now.
    """
    CREATE TABLE images (
        image TEXT PRIMARY KEY, sha256 TEXT NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL,
        bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, phash TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE work (
        stage TEXT NOT NULL, image TEXT NOT NULL, key TEXT NOT NULL, failure TEXT, PRIMARY KEY (stage, image)
    ) WITHOUT ROWID;
    CREATE TABLE keypoints (image TEXT PRIMARY KEY, points BLOB NOT NULL, scores BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE experts (
        expert TEXT PRIMARY KEY, identity TEXT NOT NULL, record TEXT NOT NULL, run TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE readings (
        image TEXT NOT NULL, expert TEXT NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (image, expert)
    ) WITHOUT ROWID;
    CREATE TABLE pairs (
        id TEXT PRIMARY KEY, image TEXT NOT NULL, row1 INTEGER NOT NULL, col1 INTEGER NOT NULL,
        row2 INTEGER NOT NULL, col2 INTEGER NOT NULL, outcome TEXT NOT NULL,
        votes TEXT NOT NULL, ratio REAL, audited INTEGER NOT NULL, queued INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX pairs_of_image ON pairs (image);
    CREATE TABLE answers (
        pair TEXT NOT NULL, person TEXT NOT NULL, photo TEXT NOT NULL, says TEXT NOT NULL, source TEXT NOT NULL,
        seconds REAL, given TEXT, PRIMARY KEY (pair, person, photo)
    ) WITHOUT ROWID;
    CREATE TABLE files (
        path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    # What Label Studio holds is kept as it came, in `annotations`; what of it counts is made from that at each pull.
    """
    ALTER TABLE answers RENAME TO answers_1;
    CREATE TABLE answers (
        pair TEXT NOT NULL, person TEXT NOT NULL, photo TEXT NOT NULL, says TEXT NOT NULL, source TEXT NOT NULL,
        seconds REAL, given TEXT, origin TEXT NOT NULL, PRIMARY KEY (pair, person, photo, origin)
    ) WITHOUT ROWID;
    INSERT INTO answers SELECT pair, person, photo, says, source, seconds, given, 'python' FROM answers_1;
    DROP TABLE answers_1;
    CREATE TABLE campaigns (
        kind TEXT PRIMARY KEY, tag TEXT NOT NULL, url TEXT, project INTEGER, mode TEXT, seen TEXT, pulled TEXT
    ) WITHOUT ROWID;
    CREATE TABLE modes (
        url TEXT NOT NULL, project INTEGER NOT NULL, mode TEXT NOT NULL, PRIMARY KEY (url, project)
    ) WITHOUT ROWID;
    CREATE TABLE tasks (kind TEXT NOT NULL, external_id TEXT NOT NULL, PRIMARY KEY (kind, external_id)) WITHOUT ROWID;
    CREATE TABLE annotations (
        url TEXT NOT NULL, project INTEGER NOT NULL, id INTEGER NOT NULL, task INTEGER NOT NULL,
        external_id TEXT NOT NULL, meta TEXT NOT NULL, person TEXT NOT NULL, result TEXT NOT NULL,
        cancelled INTEGER NOT NULL, seconds REAL, created TEXT, updated TEXT, PRIMARY KEY (url, project, id)
    ) WITHOUT ROWID;
    CREATE INDEX annotations_of_task ON annotations (url, project, task);
    CREATE TABLE people (
        url TEXT NOT NULL, person TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (url, person)
    ) WITHOUT ROWID;
    CREATE TABLE chosen (pair TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE gold (pair TEXT PRIMARY KEY, photo TEXT NOT NULL, closer TEXT NOT NULL) WITHOUT ROWID;
    """,
)
"""SQL that takes the tables from version n to n + 1. A landed one is never edited: another is added."""


class Database:
    """A SQLite file in write-ahead mode, which survives `kill -9`.

    Raises:
        BadInput: the file is no database, is of a newer da2k, cannot be written, or the disk is full. What was
            committed before stays.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        try:
            if read_only:
                self._db = sqlite3.connect(_uri(path), uri=True, isolation_level=None)
            else:
                self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        except sqlite3.Error as e:
            raise self._error(e) from None
        if not read_only:
            self.run("PRAGMA journal_mode=WAL")
            self.run("PRAGMA synchronous=NORMAL")
        self._migrate(read_only)

    def run(self, statement: str, *values: object) -> list[Any]:
        """Run one statement; its rows."""
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as e:
            raise self._error(e) from None

    def run_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row."""
        try:
            self._db.executemany(statement, rows)
        except sqlite3.Error as e:
            raise self._error(e) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the block writes, or nothing of it."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self.run("ROLLBACK")
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that the block reads is of one time, whatever another process writes meanwhile; may be nested."""
        if self._db.in_transaction:
            yield
            return
        self.run("BEGIN")
        try:
            yield
        finally:
            if self._db.in_transaction:
                self.run("COMMIT")

    def close(self) -> None:
        """Close the file; whatever was not committed is gone."""
        self._db.close()

    def _migrate(self, read_only: bool) -> None:
        version = self.run("PRAGMA user_version")[0][0]
        if version > len(MIGRATIONS):
            raise BadInput(
                f"{self.path}: a workspace of version {version}, and this da2k knows versions up to {len(MIGRATIONS)}; "
                "use a newer da2k"
            )
        if read_only and version < len(MIGRATIONS):
            raise BadInput(f"{self.path}: a workspace of version {version}; bring it up to date with: da2k build init")
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            with self.transaction():
                for statement in filter(str.strip, script.split(";")):
                    self.run(statement)
                self.run(f"PRAGMA user_version = {number}")

    def _error(self, error: sqlite3.Error) -> BadInput:
        text, name = str(error), getattr(error, "sqlite_errorname", "")
        if name in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"):
            return BadInput(f"{self.path}: the disk is full; free some space and run the same command again")
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            return BadInput(f"{self.path}: cannot be opened for writing ({text}); check the folder's permissions")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return BadInput(f"{self.path}: another process is writing; wait for it to end")
        return BadInput(f"{self.path}: {text}; if the file is damaged, restore it from a copy")


def _uri(path: Path) -> str:
    """Opens a file for reading only, also on a medium where SQLite cannot make the file it shares with writers."""
    no_writers = not path.with_name(path.name + "-wal").exists() and not os.access(path.parent, os.W_OK)
    return f"{path.resolve().as_uri()}?mode=ro" + ("&immutable=1" if no_writers else "")
