"""Writing files so that a killed process leaves the old file or the new one, never a part; and where ours live."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import platformdirs

from da2k.errors import BadInput


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file in the same folder, sync it, and rename it to `path`.

    Raises:
        BadInput: the folder cannot be made or written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".da2k.", suffix=".tmp")
    except OSError as e:
        raise BadInput(f"{path}: cannot be written ({e.strerror})") from None
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        sync(path.parent)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise BadInput(f"{path}: cannot be written ({e.strerror or e})") from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda f: f.write(text.encode()))


def load_yaml(text: str | bytes) -> Any:
    """The plain values in a YAML document; by libyaml where it is there, which is much faster.

    Raises:
        yaml.YAMLError: it is none, or a mapping has a key twice.
    """
    import yaml

    return yaml.load(text, Loader=_yaml_loader())


@cache
def _yaml_loader() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Unique(base):  # type: ignore[misc]
        """YAML's readers keep the last of two equal keys, and nobody is told."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f'"{key.value}" stands twice', key.start_mark)
                seen.add(getattr(key, "value", None) if isinstance(key, yaml.ScalarNode) else id(key))
            return super().construct_mapping(node, deep)

    return Unique


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, as hex.

    Raises:
        BadInput: the file cannot be read.
    """
    try:
        with path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None


def home() -> Path:
    """The folder of downloaded data: `DA2K_HOME` if it is set, else the platform's cache folder for da2k."""
    chosen = os.environ.get("DA2K_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("da2k", appauthor=False))


def sync(path: Path) -> None:
    """Have the disk hold a file's bytes, or a folder's names."""
    is_folder = path.is_dir()
    if os.name == "nt" and is_folder:
        return
    descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def user_path(text: str) -> Path:
    """The path that a user means: `~` is the home folder.

    Raises:
        BadInput: `~NAME` names nobody on this machine.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as e:
        raise BadInput(f"{text}: {e}") from None


@cache
def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
