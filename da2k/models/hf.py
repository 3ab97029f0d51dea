"""`hf:<hub id or folder>`: the depth families that transformers' AutoModelForDepthEstimation loads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from da2k.depth import DepthKind
from da2k.errors import BadModel
from da2k.models import checkpoints, depth_anything, depth_anything_pth
from da2k.models.devices import Dtype, choose_device, require_dtype, torch_dtype
from da2k.models.hub import local_folder
from da2k.models.options import Options, parse_options
from da2k.models.processors import Steps, processor_steps
from da2k.models.torch_model import TorchModel
from da2k.results import ModelRecord


class HubOptions(Options):
    """`--model-option` for `hf:`.

    Attributes:
        kind: what the maps mean. Needed where the checkpoint does not tell; elsewhere it overrules the
            checkpoint, and the record says so.
        revision: branch, tag or commit of a hub id.
        version: "1" or "2", which Depth Anything a checkpoint is, where the taps of its backbone mislead.
        input_size: shorter side that a Depth Anything network sees, a multiple of 14; 518 if not given.
        max_depth: metres, for the metric checkpoints of Depth Anything V2 as `.pth` (20 indoors, 80 outdoors).
        heads: attention heads of a `.pth` network, where they are not 64 wide as in all published ones.
        dtype: what the network computes in. Half precision needs a GPU; it changes the order of close pairs.
    """

    kind: DepthKind | None = None
    revision: str | None = None
    version: Literal["1", "2"] | None = None
    input_size: int | None = Field(default=None, gt=0)
    max_depth: int | None = Field(default=None, gt=0)
    heads: int | None = Field(default=None, gt=0)
    dtype: Dtype = "float32"


def load(target: str, options: Mapping[str, str], device: str) -> TorchModel:
    """Load a checkpoint.

    Args:
        target: a folder with config.json and weights; a hub id, OWNER/NAME; or an original Depth Anything
            checkpoint, a `.pth` file.
        options: see `HubOptions`.
        device: see `choose_device`.

    Raises:
        BadModel: it is no depth checkpoint, weights are missing or do not fit, or `kind` is needed.
        Unreachable: a hub id is not in the cache and the hub cannot be reached.
        MissingExtra: torch or transformers is not installed.
    """
    where = f"hf:{target}"
    given = parse_options(HubOptions, options, where)
    place = choose_device(device)
    require_dtype(given.dtype, place, where)
    source = Path(target).expanduser()
    original = depth_anything_pth.is_original(target)
    if original and given.revision:
        raise BadModel(f"{where}: option revision: belongs to hub ids, and this is a file")
    if not original:
        if given.max_depth or given.heads:
            raise BadModel(f"{where}: options max_depth and heads are for .pth files; here config.json says them")
        source = local_folder(target, given.revision)
    with checkpoints.quiet():
        if original:
            network = depth_anything_pth.load_network(source, given.version, given.max_depth, given.heads, where)
            config = network.config
        else:
            config = checkpoints.read_config(source, where)
        kind, remark = _kind(config, given.kind, where)
        steps = _steps(source, config, given, where)
        if not original:
            network = checkpoints.load_network(source, config, where)
    files = [source] if original else checkpoints.weight_files(source)
    record = ModelRecord(
        name=source.stem if original else target if source != Path(target).expanduser() else source.resolve().name,
        spec=where,
        options=dict(options),
        kind=kind,
        revision=checkpoints.commit(source.resolve()),
        weights_digest=checkpoints.weights_digest(files),
        parameters=sum(p.numel() for p in network.parameters()),
        preprocessing=steps.preprocessing + remark,
        aspect=steps.aspect,
    )
    warnings = [remark.removeprefix("; ")] if remark else []
    return TorchModel(record, network.to(place, torch_dtype(given.dtype)), steps, place, given.dtype, warnings)


def _steps(source: Path, config: Any, given: HubOptions, where: str) -> Steps:
    if config.model_type == "depth_anything":
        return depth_anything.steps(config, given.input_size or 518, given.version, where)
    if given.version or given.input_size:
        raise BadModel(f"{where}: options version and input_size are for Depth Anything, not {config.model_type}")
    return processor_steps(source, config, where)


def _kind(config: Any, stated: DepthKind | None, where: str) -> tuple[DepthKind, str]:
    """What the maps mean, and a remark for the record if the user overrules the checkpoint."""
    told = _told(config) or stated
    if told is None:
        raise BadModel(
            f"{where}: a {config.model_type} checkpoint does not tell what its maps mean; it is one of "
            f"{', '.join(DepthKind)}: for MiDaS, say, give --model-option kind={DepthKind.AFFINE_DISPARITY}"
        )
    if stated is None or stated is told:
        return told, ""
    if stated.larger_is_nearer and config.model_type == "depth_pro":
        raise BadModel(
            f"{where}: option kind={stated}: Depth Pro's inverse depth is made into {told} here; leave it out"
        )
    return stated, f"; kind {stated} stated by the user against the checkpoint's {told}"


def _told(config: Any) -> DepthKind | None:
    """What the checkpoint itself says about its maps."""
    match config.model_type:
        case "depth_anything":
            metric = config.depth_estimation_type == "metric"
            return DepthKind.METRIC_DEPTH if metric else DepthKind.AFFINE_DISPARITY
        case "depth_pro":
            # Without its field-of-view network the focal length, one factor an image, stays unknown.
            return DepthKind.METRIC_DEPTH if config.use_fov_model else DepthKind.SCALE_INVARIANT_DEPTH
        case "glpn" | "zoedepth":
            return DepthKind.METRIC_DEPTH
    return None
