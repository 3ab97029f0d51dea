"""The maps of a submission: scored here, from the files, with everything that is wrong told at once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from PIL import Image as PillowImage
from pydantic import ValidationError

from da2k.datasets.archives import read_members
from da2k.datasets.benchmarks import absent_images
from da2k.datasets.da2k import Benchmark
from da2k.datasets.unpacking import Limits
from da2k.depth import DepthKind
from da2k.errors import BadInput, MissingPrediction
from da2k.evaluation.evaluate import Progress, evaluate
from da2k.images import Photo
from da2k.leaderboard.submissions.opening import LIMITS, Submission
from da2k.leaderboard.submissions.problems import Problem, capped, field_problems, text_problems
from da2k.leaderboard.text import Name, Note, WebAddress
from da2k.models.declaration import DECLARATION, Declaration
from da2k.models.predictions import PredictionsFolder
from da2k.results import Failure, Result

MAP_BYTES = 1 << 28
"""The largest file of a map: 67 million float32 values, three times the largest photograph of a phone."""
MOST_PARAMETERS = 10**14
_DECLARATION_BYTES = 1 << 16


class SubmittedMaps(PredictionsFolder):
    """A folder of a stranger's predictions: no links are followed, and no map is read that would fill the memory."""

    def __init__(self, folder: Path, declaration: Declaration) -> None:
        super().__init__(folder.resolve(), declaration)
        self.record = self.record.model_copy(update={"spec": "predictions"})
        if declaration.tta != "none":
            self.record = self.record.model_copy(update={"options": {"tta": declaration.tta}})

    def prepare(self, photo: Photo, done: str | None = None) -> str:
        """As `PredictionsFolder.prepare`.

        Raises:
            MissingPrediction, BadInput: also if the map is a link or too large.
        """
        path = self.locate(photo.name)
        if path.resolve() != path:
            raise BadInput(f"{path}: is a link, or lies behind one; put the file itself there")
        _require_modest(path)
        return super().prepare(photo, done)


def read_submitted_declaration(
    submission: Submission,
) -> tuple[Declaration | None, Declaration | None, list[Problem]]:
    """`predictions.yaml`, and what is wrong with it.

    Returns:
        The declaration, None if it has a problem; a stand-in of those fields that are sound, with which the maps can
        at least be read, None if nothing tells how; and the problems.
    """
    content, problems = _declared(submission)
    sound: dict[str, Any] = {"model": "unnamed", "kind": DepthKind.AFFINE_DISPARITY}
    declaration = None
    wrong = {problem.field for problem in problems}
    try:
        declaration = Declaration.model_validate(content)
    except ValidationError as e:
        found = [] if problems and not content else list(field_problems(e, Declaration, DECLARATION))
        problems += capped(map(_kinds_named, found), DECLARATION, "fields that are wrong")
        wrong |= {str(error["loc"][0]) for error in e.errors()}
    standing = Declaration.model_validate(sound | {n: v for n, v in content.items() if n not in wrong})
    told = {name: getattr(standing, name) for name in Declaration.model_fields if name in content and name not in wrong}
    problems += text_problems(Name, _only(told, "model", "revision", "licence"), DECLARATION)
    problems += text_problems(Note, _only(told, "preprocessing"), DECLARATION)
    problems += text_problems(WebAddress, _only(told, "url"), DECLARATION)
    problems += _beyond_text(told)
    if not content or "aspect" in wrong:
        return None, None, problems
    return None if problems else declaration, standing, problems


def score_maps(
    submission: Submission, declaration: Declaration, benchmark: Benchmark, protocol: str, progress: Progress | None
) -> tuple[Result, bytes]:
    """Score the maps as `da2k evaluate predictions:FOLDER` does.

    Returns:
        The result, in which no path of this machine stands, and the file of its rows.

    Raises:
        BadInput: an image of the benchmark is absent here, or its labels are wrong; this is no fault of the maps.
    """
    assert submission.maps is not None
    if absent := absent_images(benchmark):
        raise BadInput(f"{benchmark.root}: {absent[0]}; predictions can only be scored on the whole benchmark")
    model = SubmittedMaps(submission.maps, declaration)
    with TemporaryDirectory(prefix="da2k-rows-") as folder:
        saved = evaluate(
            model, benchmark, protocol=protocol, out=Path(folder, "row.json"), resume=False, progress=progress
        ).result
        assert saved.rows is not None
        data = Path(folder, saved.rows.file).read_bytes()
    places = {f"{place}/": "" for place in (model.folder, submission.maps, benchmark.root)}
    failures = [failure.model_copy(update={"reason": _without(failure.reason, places)}) for failure in saved.failures]
    return saved.model_copy(update={"failures": failures}), data


def absent_maps(submission: Submission, benchmark: Benchmark) -> list[Failure]:
    """The images whose maps are not there, or there twice, without a look into the files."""
    assert submission.maps is not None
    maps = PredictionsFolder(submission.maps, Declaration(model="unnamed", kind=DepthKind.AFFINE_DISPARITY))
    found: list[Failure] = []
    for image in benchmark.images:
        try:
            maps.locate(image)
        except (MissingPrediction, BadInput) as e:
            found.append(Failure(image=image, reason=_without(str(e), {f"{submission.maps}/": ""})))
    return found


def _declared(submission: Submission) -> tuple[Mapping[str, Any], list[Problem]]:
    """The fields of the file; empty if it cannot be read."""
    assert submission.maps is not None
    todo = f"write it with two lines, model: NAME and kind: one of {', '.join(DepthKind)}"
    if DECLARATION not in submission.files:
        return {}, [Problem(DECLARATION, "", "is missing", todo)]
    try:
        data = (submission.maps / DECLARATION).read_bytes()
        if len(data) > _DECLARATION_BYTES:
            return {}, [Problem(DECLARATION, "", f"has {len(data):,} bytes, {_DECLARATION_BYTES:,} at most", todo)]
        text = data.decode("utf-8")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):  # merged ones can grow without end
            return {}, [Problem(DECLARATION, "", "has YAML aliases (*NAME)", "write the values out")]
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:
        return {}, [Problem(DECLARATION, "", f"cannot be read as YAML ({' '.join(str(e).split())})", todo)]
    if not isinstance(node, yaml.MappingNode) or not isinstance(content, dict):
        return {}, [Problem(DECLARATION, "", "holds no fields", todo)]
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    # A key that is a number or a date is no name of a field; as text it is told as an unknown one.
    fields = {str(key)[:100]: value for key, value in content.items()}
    return fields, [Problem(DECLARATION, key, "stands twice", "keep one") for key in twice]


def _kinds_named(problem: Problem) -> Problem:
    if problem.field != "kind":
        return problem
    return Problem(problem.file, "kind", problem.what, f"say what the values are: one of {', '.join(DepthKind)}")


def _beyond_text(told: Mapping[str, Any]) -> Iterator[Problem]:
    if str(told.get("model", "")).startswith("baseline:"):
        todo = "choose another; baselines are handed in as results of da2k evaluate"
        yield Problem(DECLARATION, "model", "begins with baseline:, which names the floors", todo)
    if told.get("input_crop", "none") != "none":
        yield Problem(DECLARATION, "input_crop", "these are maps of cropped images", "predict the images as they are")
    if (told.get("parameters") or 0) > MOST_PARAMETERS:
        yield Problem(DECLARATION, "parameters", "no network has so many", "give the number of its weights")


def _only(told: Mapping[str, Any], *names: str) -> dict[str, object]:
    return {name: told[name] for name in names if name in told}


def _require_modest(path: Path) -> None:
    """Check from its header that reading a map takes no more memory than a map may.

    Raises:
        BadInput: it would; the message begins with the path. Damage is left to the reader, which names it better.
    """
    if path.stat().st_size > MAP_BYTES:
        raise BadInput(f"{path}: has {path.stat().st_size:,} bytes; {MAP_BYTES:,} at most are read")
    if path.suffix == ".npz":
        read_members(path, Limits(entries=16, total_bytes=MAP_BYTES, ratio=LIMITS.ratio))
    elif path.suffix in (".png", ".tif", ".tiff"):
        try:
            with PillowImage.open(path, formats=("PNG", "TIFF")) as image:
                size = image.size
        except Exception:  # damaged files raise many types
            return
        if size[0] * size[1] > MAP_BYTES // 4:
            raise BadInput(f"{path}: {size[0]} x {size[1]}; {MAP_BYTES // 4:,} values at most are read")


def _without(text: str, places: Mapping[str, str]) -> str:
    for place, name in places.items():
        text = text.replace(place, name)
    return text
