"""Which photographs a workspace takes in, one after the other, and what becomes of each."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from da2k.construction.intake.photo_files import ReadFile, Stamp, copy_to, link_to, read_photo, stamp_of, too_small
from da2k.construction.intake.photographs import FoundFile, Listing, Refusal, names_an_image, one_name, shown
from da2k.construction.stages import Progress
from da2k.construction.workspace import IMAGES, Workspace
from da2k.evaluation.feed import read_ahead
from da2k.evaluation.inference import reason
from da2k.pairs import scenario_of

_TABLES = ("images", "work", "keypoints", "readings", "pairs")
"""All that is known of a photograph, but for people's answers: those belong to its bytes, and stay."""


class Admission:
    """One run of `take_in`, and what it has found so far."""

    def __init__(self, workspace: Workspace, own: Listing, link: bool) -> None:
        self.workspace, self.link = workspace, link
        self.min_side = workspace.settings.images.min_side
        self.own = [self._under_its_name(file) for file in own.files]
        self.refused = [*own.refused]
        self.skipped: list[Refusal] = []
        self.rows: dict[str, tuple[str, Stamp]] = {
            image: (sha256, (count, mtime_ns))
            for image, sha256, count, mtime_ns in workspace.db.run("SELECT image, sha256, bytes, mtime_ns FROM images")
        }
        self.digests: dict[tuple[str, int, int], str] = {
            (path, count, mtime_ns): sha256
            for path, count, mtime_ns, sha256 in workspace.db.run("SELECT path, bytes, mtime_ns, sha256 FROM files")
        }
        self.holder: dict[str, str] = {}
        """Digest → the image that has these bytes, of images whose file is there."""
        here = {file.image for file in own.files}
        self.named = {one_name(image): image for image in self.rows if image in here}
        self.taken: list[str] = []
        self.renewed: list[str] = []
        self.restored: list[str] = []
        self.missing: list[str] = []
        self.removed: list[str] = []
        self.duplicates: list[tuple[str, str]] = []

    def _under_its_name(self, file: FoundFile) -> FoundFile:
        """One of the workspace's own files, renamed if its name was written in another form of Unicode (macOS)."""
        target = self._target(file)
        if file.path.name == target.name or os.path.lexists(target):
            return file
        file.path.rename(target)
        return replace(file, path=target)

    def take(self, given: Listing, progress: Progress | None) -> None:
        """Go through the workspace's own files, then through the given ones."""
        self._remove_leftovers()
        changed = [file for file in self._well_named(self.own) if not self._is_unchanged(file)]
        self.refused += given.refused
        fit = self._well_named(given.files)
        self._settle(changed, self._settle_own, progress, 0, sum(not self._is_copied(file) for file in fit))
        self._settle([f for f in fit if not self._is_copied(f)], self._settle_given, progress, len(changed), 0)

    def _settle(
        self,
        files: Sequence[FoundFile],
        settle: Callable[[FoundFile, ReadFile], None],
        progress: Progress | None,
        before: int,
        after: int,
    ) -> None:
        """Read files and decide on each, in order; `before` and `after` are the numbers of others, for the progress."""
        for done, (file, read) in enumerate(read_ahead(files, self._read), before):
            if progress:
                progress(done, before + len(files) + after)
            if isinstance(read, Exception):
                self._turn_away(file, reason(read).removeprefix(f"{file.path}: "))
            else:
                settle(file, read)
        if progress and files:
            progress(before + len(files), before + len(files) + after)

    def _turn_away(self, file: FoundFile, why: str) -> None:
        """Refuse a file that cannot be read as a photograph, or skip it if its name claims nothing else."""
        if file.image in self.rows and file.path == self._target(file):
            todo = "put the old file back, or delete this one and use --remove-missing"
            self._refuse(file, f"{why}; it has changed, and what is known of the photograph of before stays: {todo}")
        elif why.startswith("not an image") and not names_an_image(file.path):
            self.skipped.append(Refusal(shown(file.path), scenario_of(file.image), why))
        else:
            self._refuse(file, why)

    def account_for_missing(self, remove: bool) -> None:
        """Find the images whose file is gone, and those that are smaller than the settings allow by now."""
        gone = [image for image in sorted(self.rows) if not (self.workspace.folder / image).exists()]
        if remove:
            for image in gone:
                with self.workspace.db.transaction():
                    self._forget(image)
            self.removed += gone
        else:
            self.missing += gone
        told = {refusal.path for refusal in self.refused}
        for taken in self.workspace.images():
            path = self.workspace.folder / taken.image
            if min(taken.size) < self.min_side and str(path) not in told:
                todo = "it was taken in before; to take it out, delete it and use --remove-missing"
                self._refuse(FoundFile(taken.image, path), f"{too_small(taken.size, self.min_side)}; {todo}")

    def _well_named(self, files: Iterable[FoundFile]) -> list[FoundFile]:
        """Those files whose name no other image has on file systems that cannot tell them apart."""
        fit = []
        for file in files:
            holder = self.named.setdefault(one_name(file.image), file.image)
            if holder == file.image:
                fit.append(file)
            else:
                self._refuse(file, f"some file systems cannot tell its name from {holder}; rename one")
        return fit

    def _is_unchanged(self, file: FoundFile) -> bool:
        """Whether one of the workspace's own files is as it was taken in."""
        row = self.rows.get(file.image)
        if row is None or stamp_of(file.path) != row[1]:
            return False
        self.holder[row[0]] = file.image
        return True

    def _is_copied(self, file: FoundFile) -> bool:
        """Whether a given file is known, unread, to be in the workspace already."""
        row = self.rows.get(file.image)
        return row is not None and row[0] == self._known(file) and self._target(file).exists()

    def _known(self, file: FoundFile) -> str | None:
        """The digest of a given file that has been read before and not changed since."""
        stamp = stamp_of(file.path)
        return None if stamp is None else self.digests.get((str(file.path.resolve()), *stamp))

    def _read(self, file: FoundFile) -> ReadFile:
        """Read a file as far as needed; in a thread, so the database is not asked."""
        row, known = self.rows.get(file.image), self._known(file)
        if known in self.holder and row is None:
            return ReadFile(str(known), stamp_of(file.path) or (0, 0))
        return read_photo(
            file.path, self.min_side, lambda sha256: sha256 in self.holder or (row is not None and sha256 == row[0])
        )

    def _settle_own(self, file: FoundFile, read: ReadFile) -> None:
        """Take in a file that lies in the workspace, and is new or has changed."""
        row = self.rows.get(file.image)
        if row and row[0] == read.sha256:
            self._touch(file, read, read.stamp)
            return
        same = self.holder.get(read.sha256)
        if same and row:
            todo = "put the old file back, or delete this one and use --remove-missing"
            self._refuse(file, f"has changed and has the bytes of {same} now; {todo}")
            return
        if same:
            self.duplicates.append((shown(file.path), same))
            return
        self._enter(file, read, read.stamp)

    def _settle_given(self, file: FoundFile, read: ReadFile) -> None:
        """Copy a file into the workspace, unless it is there."""
        row, target = self.rows.get(file.image), self._target(file)
        is_same = row is not None and row[0] == read.sha256
        if os.path.lexists(target):
            if is_same:
                self._remember(file, read)
            else:
                todo = "rename it, or delete that one first"
                self._refuse(file, f"the workspace has another file of that name, {shown(target)}; {todo}")
        elif not is_same and read.sha256 in self.holder:
            self.duplicates.append((shown(file.path), self.holder[read.sha256]))
            self._remember(file, read)
        else:
            stamp = self._place(file, read)
            self._remember(file, read)
            if is_same:
                self.restored.append(file.image)
                self._touch(file, read, stamp)
            else:
                self._enter(file, read, stamp)

    def _place(self, file: FoundFile, read: ReadFile) -> Stamp:
        """Copy or link a file into the workspace; the stamp it has there."""
        target = self._target(file)
        if self.link:
            link_to(target, file.path)
            return read.stamp  # not a newer one, if the file was changed meanwhile: the change would be overlooked
        copy_to(target, read)
        return stamp_of(target) or read.stamp

    def _enter(self, file: FoundFile, read: ReadFile, stamp: Stamp) -> None:
        """Store a photograph that is new, or that replaces the one of its name with all that was made of it."""
        assert read.size is not None
        with self.workspace.db.transaction():
            self._forget(file.image)
            row = (file.image, read.sha256, *read.size, *stamp, read.phash)
            self.workspace.db.run("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
        (self.renewed if file.image in self.rows else self.taken).append(file.image)
        self.rows[file.image] = read.sha256, stamp
        self.holder[read.sha256] = file.image

    def _touch(self, file: FoundFile, read: ReadFile, stamp: Stamp) -> None:
        """Store that the same bytes have another time."""
        self.workspace.db.run("UPDATE images SET bytes = ?, mtime_ns = ? WHERE image = ?", *stamp, file.image)
        self.holder[read.sha256] = file.image

    def _remember(self, file: FoundFile, read: ReadFile) -> None:
        """Store the digest of a given file, so that it need not be read again."""
        row = (str(file.path.resolve()), *read.stamp, read.sha256)
        self.workspace.db.run("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", *row)

    def _forget(self, image: str) -> None:
        for table in _TABLES:
            self.workspace.db.run(f"DELETE FROM {table} WHERE image = ?", image)

    def _refuse(self, file: FoundFile, why: str) -> None:
        self.refused.append(Refusal(shown(file.path), scenario_of(file.image), why))

    def _target(self, file: FoundFile) -> Path:
        return self.workspace.folder / file.image

    def _remove_leftovers(self) -> None:
        """Remove what a killed intake had not finished writing."""
        for path in (self.workspace.folder / IMAGES).glob("*/.da2k.*.tmp"):
            path.unlink(missing_ok=True)
