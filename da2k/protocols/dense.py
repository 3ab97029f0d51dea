"""How depth maps are scored against measured depth: every choice on which AbsRel or δ1 depends.

One record names, for each dataset, the frames, the reading of their files, crops, validity and clamping, and for all
of them alignment, metrics and averaging. What is not in the record is a property of the model (its input size and
resampling), which the result states.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from da2k.depth import DepthKind
from da2k.errors import BadInput, did_you_mean
from da2k.metrics.dense import METRICS
from da2k.protocols.digest import digest_of

Reader = Literal["kitti-annotated", "nyu-bts", "nyu-mat", "sintel-clean", "sintel-final", "eth3d", "diode"]
"""A way of reading a dataset's files: which images, which ground truth, how it is decoded; see `da2k.datasets`."""

BENCHMARKS = ("kitti", "nyu", "sintel", "eth3d", "diode", "diode-indoor", "diode-outdoor")
"""What --benchmark may name; `diode` is its whole validation set."""

Metres = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Choice(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Range(_Choice):
    """Which measured depths count, in metres.

    Attributes:
        low: above it, and not at it.
        high: below it, and not at it; null is no limit but being finite.
    """

    low: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    high: Metres | None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.high is not None and self.high <= self.low:
            raise ValueError(f"high = {self.high} is not above low = {self.low}")
        return self


class Clamp(_Choice):
    """What the aligned prediction is limited to, in metres.

    Attributes:
        low: the least depth; null is no limit.
        high: the cap; null is no limit.
    """

    low: Metres | None
    high: Metres | None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is not None and self.high is not None and self.high <= self.low:
            raise ValueError(f"high = {self.high} is not above low = {self.low}")
        return self


class Alignment(_Choice):
    """How a prediction is brought to metres, image by image.

    Attributes:
        space: what is fitted: 1/depth, depth, or nothing.
        solver: least squares and l1 fit a scale and a shift; median a scale, median(truth) / median(prediction).
        support: the pixels that are fitted.
        floor: the least value of an aligned disparity before it becomes depth: "1/cap" of the dataset's clamp,
            "1/max truth" of the image, or a number in 1/m. Null only where disparities stay disparities.
    """

    space: Literal["disparity", "depth", "none"]
    solver: Literal["least squares", "l1", "median", "none"]
    support: Literal["valid pixels", "valid pixels with a positive prediction"] = "valid pixels"
    floor: Literal["1/cap", "1/max truth"] | Metres | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.space == "none") is not (self.solver == "none"):
            raise ValueError("space and solver are none together, or neither is")
        if self.space == "disparity" and self.solver == "median":
            raise ValueError("a median is matched in depth; a disparity has a shift that it leaves out")
        if self.space != "disparity" and self.floor is not None:
            raise ValueError("floor: is for disparities; leave it null")
        return self

    @property
    def takes(self) -> DepthKind:
        """The least determined kind of map that can be aligned so; what becomes it is taken too."""
        if self.space == "disparity":
            return DepthKind.AFFINE_DISPARITY
        if self.space == "none":
            return DepthKind.METRIC_DEPTH
        return DepthKind.SCALE_INVARIANT_DEPTH if self.solver == "median" else DepthKind.AFFINE_DEPTH


class DatasetRules(_Choice):
    """What is particular to one dataset.

    Attributes:
        reader: which images and ground truth, and how they are decoded.
        frames: how many the list has that count; enforced.
        list: the file of the list, as in the data manifest, which pins its content; another list is given with --list.
        input_crop: what is cut from image and ground truth before the model sees it; kb is 352 x 1216, bottom
            aligned and centred (KITTI's benchmark crop).
        metric_crop: where metrics are taken: shares of the frame (garg, eigen) or a box of pixels (nyu-eigen).
        range: which measured depths count, strictly between.
        clamp: what the aligned prediction is limited to.
        fit_side: the fit uses pixels of a nearest-neighbour copy of at most this many pixels a side; null is all.
        align_corners: whether corners are aligned when maps are resized, bilinearly, to the ground truth's size.
        status: match = a third party reproduced the published numbers; unreproduced = nobody has; unavailable = it
            cannot be run, and `note` says why; unanchored = no numbers are published.
        note: what a reader of the number has to know.
        evidence: where a choice comes from, by the field's name, such as range; a choice without is one's own.
    """

    reader: Reader
    frames: Annotated[int, Field(gt=0)]
    list: str
    input_crop: Literal["none", "kb"] = "none"
    metric_crop: Literal["none", "garg", "eigen", "nyu-eigen"]
    range: Range
    clamp: Clamp
    fit_side: Annotated[int, Field(ge=16)] | None = None
    align_corners: bool
    status: Literal["match", "unreproduced", "unavailable", "unanchored"] = "unanchored"
    note: str | None = None
    evidence: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.reader.startswith("sintel") and self.range.high is None:
            raise ValueError("range.high: Sintel's sky has a depth of up to 1e5 m, and must not count")
        if self.status == "unavailable" and not self.note:
            raise ValueError("note: has to say why it is unavailable")
        if self.input_crop == "kb" and not self.reader.startswith("kitti"):
            raise ValueError("input_crop: kb is a box of KITTI's frames")
        if self.metric_crop == "nyu-eigen" and not self.reader.startswith("nyu"):
            raise ValueError("metric_crop: nyu-eigen is a box of pixels of a 480 x 640 frame")
        unknown = self.evidence.keys() - DatasetRules.model_fields.keys()
        if unknown:
            raise ValueError(f"evidence: {min(unknown)} is no choice of a dataset")
        return self


class Anchor(_Choice):
    """A published number.

    Attributes:
        model: the network; a name of `da2k models list` where it has one.
        dataset: one of this record.
        metric: one of this record.
        value: as published, a share and not per cent unless the metric says so.
        tier: match = a third party reproduced it with such choices, within `tolerance`; target = nobody has.
        tolerance: of a match, how far off a third party may be.
        source: where it was published.
        reproduced: who got what; of a target, how far off third parties were.
    """

    model: str
    dataset: str
    metric: str
    value: float
    tier: Literal["match", "target"]
    tolerance: float | None = None
    source: str
    reproduced: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.tier == "match") is (self.tolerance is None):
            raise ValueError("a match, and only a match, has a tolerance")
        if self.tier == "match" and self.reproduced is None:
            raise ValueError("a match says who reproduced it")
        return self


class DenseProtocol(BaseModel):
    """How depth maps are scored against measured depth.

    Attributes:
        name: goes into results; that of no protocol that comes with da2k.
        task: what is scored: maps against measured depth.
        version: grows when a choice changes; a published record is never edited.
        title: one line on what it is.
        alignment: how predictions are brought to metres.
        metrics_in: the space in which prediction and truth are compared.
        metrics: their names, such as absrel@depth; a wrong one is answered with all of them.
        tta: flip = the map is the mean of the image's and of the mirrored image's, mirrored back.
        model_input: what the source says of the network's input; the model's own adapter decides, the result tells.
        mean: how pixels become one number.
        not_finite: what becomes of an image whose map is NaN or infinite, or has no disparity, at a pixel that counts.
        rounding: of printed numbers.
        datasets: what is particular to each, by name, as --benchmark takes it.
        anchors: published numbers of these choices.
        unknown: what the source leaves open.
        source: where the choices come from that are made for all datasets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.-]*$")]
    task: Literal["dense"]
    version: Annotated[int, Field(ge=1)]
    title: str
    alignment: Alignment
    metrics_in: Literal["depth", "disparity"]
    metrics: tuple[str, ...] = Field(min_length=1, strict=False)
    tta: Literal["none", "flip"]
    model_input: str
    mean: Literal["over valid pixels of an image, then over images"]
    not_finite: Literal["the image fails"]
    rounding: Literal["none"]
    datasets: dict[str, DatasetRules] = Field(min_length=1)
    anchors: tuple[Anchor, ...] = Field(default=(), strict=False)
    unknown: tuple[str, ...] = Field(default=(), strict=False)
    source: str

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.metrics)) < len(self.metrics):
            raise ValueError("metrics: one is named twice")
        for name in self.metrics:
            if name not in METRICS:
                raise ValueError(f'metrics: unknown metric "{name}"; {did_you_mean(name, METRICS)}')
            if METRICS[name].space not in (None, self.metrics_in):
                raise ValueError(f"metrics: {name} is not taken in {self.metrics_in}")
        if self.metrics_in == "disparity" and self.alignment.space != "disparity":
            raise ValueError("metrics_in: disparities are compared only where they are fitted")
        if self.metrics_in == "depth" and self.alignment.space == "disparity" and self.alignment.floor is None:
            raise ValueError("alignment.floor: an aligned disparity can be 0 or less, which is no depth")
        if self.metrics_in == "disparity" and self.alignment.floor is not None:
            raise ValueError("alignment.floor: is never applied where disparities stay disparities; leave it null")
        for name, rules in self.datasets.items():
            if name not in BENCHMARKS:
                raise ValueError(f'datasets: unknown dataset "{name}"; {did_you_mean(name, BENCHMARKS)}')
            if not rules.reader.startswith(name.partition("-")[0]):
                raise ValueError(f"datasets.{name}.reader: {rules.reader} is for another dataset")
            low, floor = rules.clamp.low, self.alignment.floor
            logarithmic = [metric for metric in self.metrics if "log" in metric]
            if logarithmic and self.alignment.space != "disparity" and low is None:
                raise ValueError(f"datasets.{name}.clamp.low: {logarithmic[0]} of a depth of 0 is not defined")
            if isinstance(floor, float) and low is not None and floor * low > 1:
                raise ValueError(f"datasets.{name}.clamp.low: no depth is left between {low} m and 1/floor")
            if self.alignment.floor == "1/cap" and rules.clamp.high is None:
                raise ValueError(f"datasets.{name}.clamp.high: the floor is 1/cap, and there is no cap")
            if self.metrics_in == "disparity" and rules.clamp != Clamp(low=None, high=None):
                raise ValueError(f"datasets.{name}.clamp: is never applied to disparities; leave low and high null")
        self._check_anchors()
        return self

    def _check_anchors(self) -> None:
        for anchor in self.anchors:
            if anchor.dataset not in self.datasets or anchor.metric not in self.metrics:
                raise ValueError(f"anchors: {anchor.model}: {anchor.metric} on {anchor.dataset} is not measured here")
        for name, rules in self.datasets.items():
            tiers = {anchor.tier for anchor in self.anchors if anchor.dataset == name}
            if (rules.status == "match") is not ("match" in tiers):
                raise ValueError(f"datasets.{name}.status: is match where an anchor is, and only there")
            if rules.status == "unanchored" and tiers:
                raise ValueError(f"datasets.{name}.status: is not unanchored, as anchors has numbers of it")

    @property
    def digest(self) -> str:
        """SHA-256 of all choices; prose, sources, status and published numbers do not change it."""
        prose = {"title", "model_input", "anchors", "unknown", "source"}
        chosen: dict[str, Any] = self.model_dump(mode="json", exclude=prose)
        for rules in chosen["datasets"].values():
            for field in ("status", "note", "evidence"):
                del rules[field]
        return digest_of(chosen)

    def rules(self, dataset: str) -> DatasetRules:
        """What is particular to a dataset.

        Raises:
            BadInput: the protocol does not name it, or it is unavailable.
        """
        if dataset not in self.datasets:
            named = ", ".join(self.datasets)
            raise BadInput(f"protocol {self.name} says nothing on {dataset}; it names {named}")
        rules = self.datasets[dataset]
        if rules.status == "unavailable":
            raise BadInput(f"protocol {self.name} cannot be run on {dataset}: {rules.note}")
        return rules

    def require(self, kind: DepthKind) -> None:
        """Check that maps of this kind can be scored.

        Raises:
            BadInput: they cannot be brought to metres this way; the message says why.
        """
        takes = self.alignment.takes
        why_not = kind.why_not(takes)
        if why_not is None:
            return
        how = f"aligns in {self.alignment.space}" if self.alignment.space != "none" else "aligns nothing"
        raise BadInput(
            f"protocol {self.name} {how}, so it takes {takes} or what becomes it; {kind} does not: {why_not}"
        )
