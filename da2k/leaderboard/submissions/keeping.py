"""A checked result as the board keeps it: the same submission gives the same bytes, on any machine, at any time."""

import hashlib
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import da2k
from da2k.datasets.da2k import Benchmark
from da2k.evaluation.rows import COLUMNS
from da2k.evaluation.saving import save_result
from da2k.leaderboard.text import LINE_LENGTH, shown
from da2k.results import Failure, Result, Run

_ENDINGS = "npy|npz|pfm|png|jpe?g|tiff?|exr|pth?|bin|safetensors|onnx|tflite|json|ya?ml|parquet|zip|txt"
_SCHEME = r"file:[/\\]*(?:localhost/)?(?:[a-z]:[/\\]+)?"
_BEGIN = rf"(?<![\w/\\.~-])(?:{_SCHEME}|[a-z]:[/\\]+|~[\w.-]*[/\\]+|\.{{1,2}}[/\\]+|\\{{1,2}}|(?<!:)/{{2,}}|/)"
# Names of folders may hold blanks. A file's ending before a blank ends a path, so that not all that follows goes too.
_FOLDER = rf"""[^\s/\\":;<>|](?:(?!\.(?:{_ENDINGS})\s)[^/\\":;<>|])*[/\\]+"""
_HOME = r"""(?:(?<=[/\\]home[/\\])|(?<=[/\\]users[/\\]))[^/\\"'(),:;<>|]*"""
_FILE = r"""[^\s/\\"'(),:;<>|]+"""
_PATH = re.compile(rf"{_BEGIN}(?:(?:{_FOLDER})+(?:{_HOME}|{_FILE})?|{_FILE})", re.IGNORECASE)
_PATH_BEGINS = re.compile(rf"{_BEGIN}(?=[^\s/\\])", re.IGNORECASE)
_HOMES = ("home", "users")
"""The folders whose folders are called as people are."""


def kept_result(result: Result, benchmark: Benchmark, *, rescored: bool) -> Result:
    """The result without what would differ from machine to machine or from day to day.

    The benchmark is called as it is here: its labels are the same, and a folder may be called as one likes. Paths
    keep their last name only. Of a run that scored stored maps only the version of the scorer is kept, since reading
    files says nothing of the model; of a run that was handed in all but when it began and how long it took.
    """
    run = result.run.model_copy(update={"started": "", "seconds": 0.0})
    if rescored:
        run = Run(
            da2k_version=da2k.__version__,
            commit=None,
            python="",
            packages={},
            device="none",
            dtype="stored",
            seed=None,
            started="",
            seconds=0.0,
            images_per_second=None,
        )
    named = {"name": benchmark.name, "revision": benchmark.revision}
    options = {key: _without_place(value) for key, value in sorted(result.model.options.items())}
    model = {"spec": _without_place(result.model.spec), "options": options}
    failures = [each.model_copy(update={"reason": _reason(each)}) for each in result.failures]
    return result.model_copy(
        update={
            "benchmark": result.benchmark.model_copy(update=named),
            "model": result.model.model_copy(update=model),
            "run": run,
            "failures": failures,
            "warnings": [without_paths(warning) for warning in result.warnings],
        }
    )


def kept_rows(result: Result, rows: list[dict[str, Any]]) -> bytes:
    """The file of these rows, written anew: of a file of a stranger nothing but the checked values is kept."""
    in_order = sorted(rows, key=lambda row: (row["pair"], row["closer_row"], row["closer_col"]))
    with TemporaryDirectory(prefix="da2k-rows-") as folder:
        saved = save_result(result, in_order, COLUMNS, Path(folder, "row.json"))
        assert saved.rows is not None
        return Path(folder, saved.rows.file).read_bytes()


def rows_name(stem: str, data: bytes) -> tuple[str, str]:
    """The name and the SHA-256 of a row's file of pairs, as `da2k.evaluation.saving` names them."""
    digest = hashlib.sha256(data).hexdigest()
    return f"{stem}.{digest[:12]}.parquet", digest


def without_paths(text: str) -> str:
    """The text with only the last name of each path, cut to a length that a page can show.

    A path is absolute, or begins with `~`, `./`, `../` or `file:`. Where it is not clear whether words belong to it,
    they go: more than a path may be lost, but no name of a person's folder is kept. Other relative paths stay, as
    images are called so.

    >>> without_paths("/home/ann/maps/a.npy: is damaged (see https://example.org/b)")
    'a.npy: is damaged (see https://example.org/b)'
    """
    # Twice: signs for hidden characters make a text longer.
    return shown(shown(_PATH.sub(lambda found: _last(found[0]), text), LINE_LENGTH), LINE_LENGTH - 1)


def _without_place(text: str) -> str:
    """A model string, or an option, without the folder that its file lies in."""
    prefix, colon, target = ("", "", text) if _is_place(text) else text.partition(":")
    return f"{prefix}{colon}{_last(target)}" if _is_place(target) else without_paths(text)


def _is_place(text: str) -> bool:
    return text.startswith(("/", "~", "\\")) and not text.startswith("//")


def _reason(failure: Failure) -> str:
    """Why an image failed; a path to its map begins at the image's name, whatever the folders above are called."""
    parts = (failure.image.rpartition(".")[0] or failure.image).split("/")
    named = list(re.finditer(r"(?<=[/\\])" + r"[/\\]".join(map(re.escape, parts)), failure.reason))
    if not named:
        return without_paths(failure.reason)
    begin, end = _PATH_BEGINS.search(failure.reason), named[-1].start()
    before = failure.reason[: begin.start()] if begin and begin.start() < end else ""
    return without_paths(before + failure.reason[end:])


def _last(path: str) -> str:
    *above, last = re.split(r"[/\\]+", path.rstrip("/\\"))
    return "…" if above and above[-1].lower() in _HOMES else last
