"""`onnx:<file>`: networks that ONNX Runtime runs. How they are fed is declared; see `NetworkOptions`."""

import mmap
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from da2k.errors import BadModel, MissingExtra
from da2k.models.checkpoints import one_line, weights_digest
from da2k.models.fixed_network import FixedNetwork, quiet_stderr
from da2k.models.network_input import Tensor, settle
from da2k.models.network_options import network_file, read_declaration

_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}

_LOCATION = re.compile(rb"\n\x08location\x12([\x01-\x7f]|[\x80-\xff]\x01)", re.DOTALL)
"""A weight kept in another file, in ONNX's encoding: the key "location", then the name's length in base 128, lower
digit first and plus 128 if another follows, then the name."""


def load(target: str, options: Mapping[str, str], device: str) -> FixedNetwork:
    """Load a network.

    Args:
        target: the file.
        options: see `NetworkOptions`; they overrule the YAML beside the file.
        device: "auto" and "cpu" are the CPU; "cuda" and "cuda:n" need onnxruntime-gpu.

    Raises:
        BadModel: it is no network that can be fed with images, or the declaration lacks or contradicts something.
        MissingExtra: onnxruntime is not installed.
    """
    spec = f"onnx:{target}"
    file = network_file(target, spec)
    declared = read_declaration(file, options, spec)
    with quiet_stderr():
        session, place = _session(file, device, spec)
    feed = settle(
        declared, [_tensor(t) for t in session.get_inputs()], [_tensor(t) for t in session.get_outputs()], spec
    )

    def run(tensor: NDArray[Any]) -> NDArray[Any]:
        answer: NDArray[Any] = session.run([feed.output.name], {feed.input.name: tensor})[0]
        return answer

    return FixedNetwork(spec, file, weights_digest([file, *external_files(file)]), feed, run, place)


def _session(file: Path, device: str, where: str) -> tuple[Any, str]:
    """The loaded network, and the device it is on."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingExtra("onnxruntime", "edge") from None
    except ImportError as e:
        raise BadModel(f"onnxruntime is installed but cannot be imported ({one_line(e)})") from None
    name, _, index = ("cpu" if device == "auto" else device).partition(":")
    if device not in ("auto", "cpu", "cuda") and not (name == "cuda" and index.isdecimal()):
        raise BadModel(f'device "{device}" is not one of auto, cpu, cuda, cuda:0, cuda:1, …')
    providers: list[Any] = ["CPUExecutionProvider"]
    if name == "cuda":
        available = onnxruntime.get_available_providers()
        if "CUDAExecutionProvider" not in available:
            has = ", ".join(available)
            raise BadModel(
                f'device "{device}": onnxruntime has only {has}; install onnxruntime-gpu or give --device cpu'
            )
        # Full float32, and no timing of convolutions, whose winner may differ from run to run.
        exact = {"device_id": int(index or 0), "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}
        providers.insert(0, ("CUDAExecutionProvider", exact))
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.use_deterministic_compute = True
    try:
        session = onnxruntime.InferenceSession(file, settings, providers=providers)
    except Exception as e:  # onnxruntime raises many types, for broken files and missing operators alike
        raise BadModel(f"{where}: cannot be loaded as an ONNX network ({one_line(e)})") from None
    if name == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise BadModel(f'device "{device}": onnxruntime cannot start CUDA here; check its CUDA and cuDNN libraries')
    return session, name if name == "cpu" else f"cuda:{index or 0}"


def _tensor(described: Any) -> Tensor:
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in described.shape)
    return Tensor(described.name, shape, _TYPES.get(described.type, described.type))


def external_files(file: Path) -> list[Path]:
    """The files beside the network's that hold weights of it."""
    with file.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
        lengths = {m.end(): m[1][0] % 128 + 128 * (len(m[1]) - 1) for m in _LOCATION.finditer(content)}
        names = {content[start : start + length] for start, length in lengths.items()}
    places = (file.parent / name.decode(errors="replace") for name in sorted(names))
    return [place for place in places if place.is_file()]
