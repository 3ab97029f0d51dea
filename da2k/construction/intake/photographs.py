"""Which files of a folder of photographs may be taken in, and under which names."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from da2k.construction.workspace import IMAGES
from da2k.errors import BadInput, did_you_mean

_SKIPPED = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"}
"""What file managers leave behind; skipped without a word, as hidden files are."""

_UNFIT = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that have no place in a name: control and format characters, broken UTF-8, line breaks."""

_TWICE = "another file has the same name in another Unicode form; rename one"

_READ = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm"}
_NOT_READ = {".heic", ".heif", ".avif", ".jxl", ".jp2", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"}
_ENDINGS = _READ | _NOT_READ
"""Of photographs; a file of another name that is no image is a side file."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be a photograph.

    Attributes:
        image: the name it has in a workspace, `images/<scenario>/<file>`, in Unicode form NFC on every machine.
        path: where it is.
    """

    image: str
    path: Path


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that is not taken in.

    Attributes:
        path: where it is, printable.
        scenario: whose folder it lies in; empty if it lies in none.
        why: what is wrong and what to do.
    """

    path: str
    scenario: str
    why: str


@dataclass(frozen=True)
class Listing:
    """What a folder of photographs holds.

    Attributes:
        files: by the image's name.
        refused: what cannot be a photograph of a scenario, whatever is in it.
    """

    files: tuple[FoundFile, ...] = ()
    refused: tuple[Refusal, ...] = ()


def photo_root(photos: Path) -> Path:
    """The folder with one folder a scenario: `photos`, or `images/` in it.

    Raises:
        BadInput: there is no such folder.
    """
    if not photos.is_dir():
        raise BadInput(f"{photos}: {'not a folder' if photos.exists() else 'no such folder'}")
    return photos / IMAGES if (photos / IMAGES).is_dir() else photos


def list_photos(root: Path, scenarios: Collection[str], *, replaced: bool = False) -> Listing:
    """The files in the folders of the scenarios, one level deep; links are followed, hidden files skipped.

    Args:
        root: the folder that holds them.
        scenarios: all that there are.
        replaced: whether these were given in place of others, which an error then explains.

    Raises:
        BadInput: a folder is none of the scenarios, or cannot be read; or `root` is the folder of one itself.
    """
    try:
        entries = [path for path in sorted(root.iterdir()) if not _is_skipped(path)]
        folders = [path for path in entries if path.is_dir()]
        _require_known(root, folders, scenarios, replaced)
        stray = [path for path in entries if names_an_image(path) and path not in folders]
        if stray and not folders and root.resolve().name in scenarios:
            above = root.parent if root.name not in ("", "..") else root.resolve().parent
            raise BadInput(f"{root}: holds the photographs of one scenario; give the folder above it: {above}")
        where = root / next(iter(scenarios))
        refused = [
            Refusal(shown(path), "", f"lies in no scenario's folder; put it into one, such as {where}")
            for path in stray
        ]
        files: dict[str, FoundFile] = {}
        for folder in folders:
            # Of two names that are one in NFC, the one that is NFC already comes first.
            for path in sorted(
                folder.iterdir(), key=lambda path: (not unicodedata.is_normalized("NFC", path.name), path)
            ):
                if _is_skipped(path):
                    continue
                image = f"{IMAGES}/{folder.name}/{unicodedata.normalize('NFC', path.name)}"
                problem = _TWICE if image in files else _problem(path)
                if problem:
                    refused.append(Refusal(shown(path), folder.name, problem))
                else:
                    files[image] = FoundFile(image, path)
    except OSError as e:
        raise BadInput(f"{e.filename}: {e.strerror}") from None
    return Listing(tuple(files[image] for image in sorted(files)), tuple(refused))


def names_an_image(path: Path) -> bool:
    """Whether the ending of a file's name says that it is a photograph."""
    return path.suffix.lower() in _ENDINGS


def one_name(image: str) -> str:
    """Equal for names that some file systems cannot tell apart: those that differ in case or in Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", image).casefold())


def shown(path: Path) -> str:
    """A path on one line, whatever characters are in it."""
    text = str(path)
    return text if not any(unicodedata.category(c) in _UNFIT for c in text) else repr(text)[1:-1]


def _is_skipped(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _SKIPPED


def _require_known(root: Path, folders: list[Path], scenarios: Collection[str], replaced: bool) -> None:
    unknown = [folder.name for folder in folders if folder.name not in scenarios]
    if unknown:
        names = ", ".join(f'"{name}"' for name in unknown)
        todo = (
            "--scenario replaces the whole list: give it once for every scenario, also for those that stay"
            if replaced
            else "Rename the folder, or name your own scenarios with --scenario"
        )
        hint = did_you_mean(unknown[0], scenarios)
        raise BadInput(f"{root}: no scenario is called {names}; {hint}. {todo}; nothing was taken in")


def _problem(path: Path) -> str | None:
    """Why a file cannot be a photograph of a scenario, from its name and type alone."""
    if any(unicodedata.category(c) in _UNFIT for c in path.name) or "\\" in path.name:
        return "its name has control characters, a backslash or broken Unicode; rename it"
    if path.is_dir():
        return "a folder; photographs lie directly in the folder of their scenario"
    if path.is_symlink() and not path.exists():
        return "a link to nothing"
    return None if path.is_file() else "not a regular file"
