"""Where and how a number was made: versions, commit, device, time."""

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

import da2k
from da2k.models import Model
from da2k.results import Run

PACKAGES: Iterable[str] = (
    "numpy",
    "pillow",
    "scipy",
    "torch",
    "torchvision",
    "transformers",
    "diffusers",
    "onnxruntime",
    "ai-edge-litert",
)
"""The packages whose version can change a number."""


class Stopwatch:
    """When a run began and how long it has taken."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self._origin = perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return perf_counter() - self._origin


def describe_run(model: Model, watch: Stopwatch, computed: int, resumed: int) -> Run:
    """The record of a run that computed so many images and took over so many from an earlier one."""
    seconds = watch.seconds
    return Run(
        da2k_version=da2k.__version__,
        commit=_commit(),
        python=platform.python_version(),
        packages=_imported(),
        device=str(getattr(model, "device", "cpu")),
        dtype=str(getattr(model, "dtype", "float32")),
        seed=getattr(model, "seed", None),
        started=watch.started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        images_per_second=round(computed / seconds, 3) if computed and seconds > 0 else None,
        images_resumed=resumed,
    )


def fingerprint(model: Model, *more: object) -> str:
    """Names work whose values may be carried on: anything known that could change one of them changes it."""
    work = {
        "da2k": da2k.__version__,
        "commit": _commit(),
        "packages": dict(installed_packages()),  # not those imported: what is imported changes while a process lives
        "model": model.record.model_dump(mode="json"),
        "device": str(getattr(model, "device", "")),
        "dtype": str(getattr(model, "dtype", "")),
        "more": more,
    }
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()


@cache
def installed_packages() -> Mapping[str, str]:
    """The installed versions of PACKAGES, by name."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _imported() -> dict[str, str]:
    """Versions of those that this process has imported: what took part in a run."""
    modules = {"pillow": "PIL", "ai-edge-litert": "ai_edge_litert"}
    return {name: number for name, number in installed_packages().items() if modules.get(name, name) in sys.modules}


@cache
def _commit() -> str | None:
    """The commit of the checkout that da2k runs from, with "+changes" if it was edited; None when installed."""
    checkout = Path(da2k.__file__).resolve().parents[1]
    if not (checkout / ".git").exists():
        return None
    try:
        head = _git(checkout, "rev-parse", "HEAD").strip()
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+changes" if changed else "")


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout
