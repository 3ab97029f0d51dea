"""A protocol for measured depth in words, along the fifteen axes on which a number depends."""

from dataclasses import dataclass

from da2k.depth import DepthKind
from da2k.metrics.dense import METRICS
from da2k.protocols.dense import Alignment, DatasetRules, DenseProtocol, Range, Reader

AXES = (
    "file list",
    "images",
    "ground truth",
    "crop of the input",
    "crop of the metrics",
    "depths that count",
    "model input",
    "resizing of the map",
    "kinds of map",
    "alignment",
    "limits",
    "metrics",
    "mean",
    "augmentation",
    "rounding",
)
"""What has to be equal before two numbers can be compared; counted from 1."""

READERS: dict[Reader, tuple[str, str]] = {
    "kitti-annotated": (
        "colour frames of the raw recordings, rectified, as they are",
        "annotated depth: 16-bit PNG, metres = value / 256, 0 = not measured; raw LiDAR is refused",
    ),
    "nyu-bts": (
        "JPEGs with a blackened border, as BTS extracted them",
        "raw Kinect depth: 16-bit PNG in mm, 0 = a hole; in-painted depth is refused",
    ),
    "nyu-mat": (
        "images of nyu_depth_v2_labeled.mat, with their border",
        "rawDepths of the same file, metres, 0 = a hole; its in-painted depths are never read",
    ),
    "sintel-clean": (
        "the clean pass",
        ".dpt files of float32 metres; the sky is far, and left out by the depths that count",
    ),
    "sintel-final": (
        "the final pass",
        ".dpt files of float32 metres; the sky is far, and left out by the depths that count",
    ),
    "eth3d": (
        "distorted DSLR photographs in full size; undistorted ones are refused",
        "float32 metres without a header, of the photograph's size; inf = not measured",
    ),
    "diode": ("PNG images", "_depth.npy in metres, where _depth_mask.npy is 1; a missing mask is refused"),
}
"""For each reader the images and the ground truth."""

STATUS = {
    "match": "match: a third party reproduced published numbers, those marked match",
    "unreproduced": "UNREPRODUCED: nobody is known to have reproduced a published number",
    "unavailable": "UNAVAILABLE: it cannot be run",
    "unanchored": "unanchored: no number is published for these choices",
}
"""For each status of a dataset what it says."""

OWN = "own choice"
"""What a description gives as the source of a choice for which the record gives none."""

_CROPS = {
    "none": "none",
    "garg": "Garg: rows 40.8 % to 99.2 %, columns 3.6 % to 96.4 %",
    "eigen": "Eigen: rows 33.2 % to 91.4 %, columns 3.6 % to 96.4 %",
    "nyu-eigen": "Eigen's of NYU: rows 45 to 470, columns 41 to 600, counted from 0",
}


@dataclass(frozen=True)
class Axis:
    """One line of a description.

    Attributes:
        number: of the axis, 1 to 15.
        field: the fields of the record that make the choice, as they are written in YAML.
        text: the choice.
        evidence: where it comes from; `OWN` where the record does not say, None where it says so for all datasets.
    """

    number: int
    field: str
    text: str
    evidence: str | None = None

    @property
    def name(self) -> str:
        """What the axis is about."""
        return AXES[self.number - 1]


def kinds_taken(protocol: DenseProtocol) -> tuple[DepthKind, ...]:
    """The kinds of map that the protocol can score."""
    return tuple(kind for kind in DepthKind if kind.why_not(protocol.alignment.takes) is None)


def common_axes(protocol: DenseProtocol) -> list[Axis]:
    """What the protocol fixes for all its datasets: axes 7, 9, 10, 12 to 15."""
    formulas = "; ".join(f"{name} = {METRICS[name].formula}" for name in protocol.metrics)
    mirrored = {"none": "none: one pass", "flip": "flip: the mean of the map and of the mirrored image's map"}
    return [
        Axis(7, "model_input", protocol.model_input),
        Axis(9, "alignment", _kinds(protocol)),
        Axis(10, "alignment", _alignment(protocol.alignment)),
        Axis(
            12,
            "metrics, metrics_in",
            f"d = prediction, g = truth, e = ln d - ln g, in {protocol.metrics_in}: {formulas}",
        ),
        Axis(
            13,
            "mean, not_finite",
            f"{protocol.mean}; map not finite or without a disparity: {protocol.not_finite}",
        ),
        Axis(
            14,
            "tta",
            f"{mirrored[protocol.tta]}; ensembles, steps and seeds are the model's, and the result names them",
        ),
        Axis(15, "rounding", f"{protocol.rounding}: results hold all digits"),
    ]


def dataset_axes(protocol: DenseProtocol, dataset: str) -> list[Axis]:
    """What the protocol fixes for one of its datasets: axes 1 to 6, 8, 11, and 10 where not all pixels are fitted."""
    rules = protocol.datasets[dataset]
    images, truth = READERS[rules.reader]
    cut = {"none": "none", "kb": "kb: 352 x 1216, of image and ground truth, at the bottom, centred"}
    corners = f"{'with' if rules.align_corners else 'without'} aligned corners"

    def said(field: str) -> str:
        return rules.evidence.get(field, OWN)

    lines = [
        Axis(1, "frames, list", f"{rules.frames} frames, no more and no fewer, of {rules.list}", _files(rules)),
        Axis(2, "reader", f"{rules.reader}: {images}", said("reader")),
        Axis(3, "reader", truth, said("reader")),
        Axis(4, "input_crop", cut[rules.input_crop], said("input_crop")),
        Axis(
            5,
            "metric_crop",
            _CROPS[rules.metric_crop] + (" of the cut frame" if _cut_twice(rules) else ""),
            said("metric_crop"),
        ),
        Axis(6, "range", _range(rules.range), said("range")),
        Axis(8, "align_corners", f"bilinear to the ground truth's size, {corners}", said("align_corners")),
        Axis(11, "clamp, alignment.floor", _limits(protocol, rules), said("clamp")),
    ]
    if rules.fit_side is not None:
        fitted = f"fitted on every so many-th pixel: a nearest-neighbour copy of at most {rules.fit_side} pixels a side"
        lines.insert(-1, Axis(10, "fit_side", fitted, said("fit_side")))
    return lines


def _files(rules: DatasetRules) -> str:
    said = rules.evidence
    if "frames" not in said and "list" not in said:
        return OWN
    return " ".join(said.get(field, f"{field}: {OWN}.") for field in ("frames", "list"))


def _kinds(protocol: DenseProtocol) -> str:
    wanted = protocol.alignment.takes
    taken = ", ".join(
        f"{kind} (as 1/depth)" if kind.larger_is_nearer is not wanted.larger_is_nearer else str(kind)
        for kind in kinds_taken(protocol)
    )
    refused = "; ".join(f"{kind}: {why}" for kind in DepthKind if (why := kind.why_not(wanted)) is not None)
    return f"takes {taken}; refuses {refused}"


def _alignment(alignment: Alignment) -> str:
    if alignment.space == "none":
        return "none: the map has to be in metres"
    target = "1/depth" if alignment.space == "disparity" else "depth"
    what = {
        "least squares": f"scale and shift by least squares on {target}",
        "l1": f"scale and shift by least absolute deviations on {target}",
        "median": f"scale only, on {target}: median of the truth over median of the prediction",
    }[alignment.solver]
    return f"{what}, over {alignment.support}, image by image"


def _range(limits: Range) -> str:
    upper = "finite" if limits.high is None else f"below {limits.high:g} m"
    return (
        f"above {limits.low:g} m and {upper}, both strictly" if limits.high else f"above {limits.low:g} m and {upper}"
    )


def _limits(protocol: DenseProtocol, rules: DatasetRules) -> str:
    if protocol.metrics_in == "disparity":
        return "none: aligned disparities are compared as they are"
    low, high = rules.clamp.low, rules.clamp.high
    floor = protocol.alignment.floor
    if floor == "1/cap":
        steps = [f"aligned disparity at least 1/{high:g} per metre"]
    elif floor is not None:
        least = "1/(largest depth that counts in the image)" if floor == "1/max truth" else f"{floor:g} per metre"
        steps = [f"aligned disparity at least {least}"]
    else:
        steps = []
    if low is not None:
        steps.append(f"depth at least {low:g} m")
    if high is not None:
        steps.append(f"depth at most {high:g} m")
    return "after alignment: " + ", ".join(steps) if steps else "none"


def _cut_twice(rules: DatasetRules) -> bool:
    return rules.input_crop != "none" and rules.metric_crop != "none"
