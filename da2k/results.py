"""What an evaluation yields: counts, accuracies and everything needed to know what was measured.

A result on disk is a JSON file beside a Parquet file of rows: `Result`, one row a pair, for benchmarks of pairs, and
`DenseResult`, one row an image, for measured depth.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from da2k.depth import DepthKind
from da2k.errors import BadInput

SCHEMA_VERSION: Literal[1] = 1

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Counts(_Record):
    """How many pairs ended how. The five outcomes always add up to the total."""

    total: Count
    correct: Count = 0
    wrong: Count = 0
    tied: Count = 0
    invalid: Count = 0
    missing: Count = 0

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        parts = self.correct + self.wrong + self.tied + self.invalid + self.missing
        if parts != self.total:
            raise ValueError(f"the outcomes add up to {parts}, not to total = {self.total}")
        return self


class Scenario(Counts):
    """The pairs of one scenario, with their accuracy (correct / total) and its Wilson interval."""

    accuracy: Share
    interval: tuple[Share, Share]


class Accuracy(_Record):
    """Accuracy over all pairs.

    micro is correct / total over pairs, what the paper's tables print; macro is the mean of the scenarios'
    accuracies. `interval` belongs to micro.
    """

    micro: Share
    macro: Share
    interval: tuple[Share, Share]
    level: Share
    method: Literal["wilson"] = "wilson"


class BenchmarkRecord(_Record):
    """Which benchmark was scored. `digest` is over the labels; `expected` is given where counts are known."""

    name: str
    revision: str | None
    digest: Digest
    images: Count
    pairs: Count
    partial: bool = False


class ProtocolRecord(_Record):
    """The protocol's name and the digest of its record."""

    name: str
    digest: Digest


class ModelRecord(_Record):
    """Which model was scored, and how it sees an image.

    Attributes:
        name: what a table calls it.
        spec: the string that names it on the command line, or the Python object's qualified name.
        options: the model options that were given, or all that are in force where an adapter states them.
        kind: what its maps mean; None until a Python function has returned its first map.
        revision: the hub commit, where there is one.
        weights_digest: SHA-256 over the weight files; for a predictions folder what its declaration states.
        parameters: number of weights.
        preprocessing: one line: input size, resampling, scaling.
        aspect: "kept" if maps have the image's aspect, "stretched" if the network squeezes every image into
            one shape.
    """

    name: str
    spec: str
    options: dict[str, str] = {}
    kind: DepthKind | None = None
    revision: str | None = None
    weights_digest: Digest | None = None
    parameters: Count | None = None
    preprocessing: str | None = None
    aspect: Literal["kept", "stretched"] = "kept"


class Run(_Record):
    """Where and how the numbers were made."""

    da2k_version: str
    commit: str | None
    python: str
    packages: dict[str, str]
    device: str
    dtype: str
    seed: int | None
    started: str
    seconds: Annotated[float, Field(ge=0)]
    images_per_second: Annotated[float, Field(ge=0)] | None
    images_resumed: Count = 0


class Failure(_Record):
    """An image that could not be scored, and why."""

    image: str
    reason: str


class Rows(_Record):
    """The file of per-pair rows, beside the result."""

    file: Annotated[str, Field(pattern=r"^[^/\\\x00]+\.parquet$")]
    sha256: Digest


class Result(_Record):
    """One model on one ordering benchmark."""

    schema_version: Literal[1]
    benchmark: BenchmarkRecord
    protocol: ProtocolRecord
    model: ModelRecord
    run: Run
    counts: Counts
    accuracy: Accuracy
    scenarios: dict[str, Scenario]
    failures: list[Failure] = []
    warnings: list[str] = []
    rows: Rows | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for outcome in Counts.model_fields:
            parts = sum(getattr(scenario, outcome) for scenario in self.scenarios.values())
            if parts != getattr(self.counts, outcome):
                raise ValueError(f"counts.{outcome} is not the sum over the scenarios, {parts}")
        if self.counts.total != self.benchmark.pairs:
            raise ValueError(f"counts.total is not benchmark.pairs = {self.benchmark.pairs}")
        stated = {"accuracy.micro": (self.accuracy.micro, self.counts)}
        stated |= {f"scenarios.{name}.accuracy": (s.accuracy, s) for name, s in self.scenarios.items()}
        for field, (share, counts) in stated.items():
            if counts.total and abs(share - counts.correct / counts.total) > 1e-9:
                raise ValueError(f"{field} is {share}, which is not correct / total")
        return self


class FramesRecord(_Record):
    """Which frames were scored. `digest` is over dataset, reader and list; `partial` if not all that are demanded."""

    name: str
    reader: str
    digest: Digest
    partial: bool = False
    own_list: bool = False


class Images(_Record):
    """How many images there are. `expected` is what the protocol demands; failed ones are in no mean."""

    expected: Count
    scored: Count
    failed: Count = 0
    absent: Count = 0


class Mean(_Record):
    """The mean of a metric over the scored images, and its bootstrap interval by image."""

    mean: float
    interval: tuple[float, float]


class DenseResult(_Record):
    """One model against measured depth.

    Attributes:
        metrics: by name, in the protocol's order; empty if no image could be scored. The names say space and formula;
            see `da2k.metrics.dense.METRICS`.
        level: of the intervals.
        resamples: of the bootstrap.
        clamped: share of pixels, mean over images, at which the aligned prediction was limited by floor or range.
    """

    schema_version: Literal[1]
    benchmark: FramesRecord
    protocol: ProtocolRecord
    model: ModelRecord
    run: Run
    images: Images
    metrics: dict[str, Mean]
    level: Annotated[float, Field(gt=0, lt=1)]
    method: Literal["bootstrap by image"] = "bootstrap by image"
    resamples: Annotated[int, Field(ge=1, le=1_000_000)]
    clamped: Share
    failures: list[Failure] = []
    warnings: list[str] = []
    rows: Rows | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({failure.image for failure in self.failures}) < len(self.failures):
            raise ValueError("failures: an image is named twice")
        if len(self.failures) != self.images.failed:
            raise ValueError(f"images.failed is {self.images.failed}, and {len(self.failures)} failures are named")
        if bool(self.metrics) is not bool(self.images.scored):
            raise ValueError("metrics are there if, and only if, images were scored")
        images, own = self.images, self.benchmark.own_list
        if not own and images.scored + images.failed + images.absent != images.expected:
            raise ValueError(f"images: scored, failed and absent ones are not the expected {images.expected}")
        if self.benchmark.partial is not (own or images.absent > 0):
            raise ValueError("benchmark.partial: is true if, and only if, images are absent or the list is the user's")
        for name, metric in self.metrics.items():
            if not metric.interval[0] <= metric.mean <= metric.interval[1]:
                raise ValueError(f"metrics.{name}: the mean {metric.mean} is not in its interval")
        return self


def read_result(path: str | Path) -> Result:
    """Read a result on pairs.

    Raises:
        BadInput: the file is missing, is no such result, or contradicts itself; the message names the field.
    """
    found = read_any_result(path)
    if isinstance(found, DenseResult):
        raise BadInput(f"{path}: is a result on {found.benchmark.name}, and one on pairs of points is needed")
    return found


def read_any_result(path: str | Path) -> Result | DenseResult:
    """Read a result of either sort.

    Raises:
        BadInput: the file is missing, is no result, or contradicts itself; the message names the field.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    try:
        content = from_json(text)
        kind = DenseResult if isinstance(content, dict) and "metrics" in content else Result
        return kind.model_validate_json(text)
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        message = first["msg"]
    except ValueError as e:
        field, message = "(whole file)", str(e)
    raise BadInput(f"{path}: {field}: {message}; is this a file written by da2k evaluate?")
