"""`tflite:<file>`: networks that LiteRT (TensorFlow Lite) runs. How they are fed is declared; see `NetworkOptions`."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da2k.errors import BadModel, MissingExtra
from da2k.files import sha256_file
from da2k.models.checkpoints import one_line
from da2k.models.fixed_network import FixedNetwork, quiet_stderr
from da2k.models.network_input import Tensor, settle
from da2k.models.network_options import network_file, read_declaration


def load(target: str, options: Mapping[str, str], device: str) -> FixedNetwork:
    """Load a network.

    Args:
        target: the file.
        options: see `NetworkOptions`; they overrule the YAML beside the file.
        device: "auto" or "cpu"; nothing else is there.

    Raises:
        BadModel: it is no network that can be fed with images, or the declaration lacks or contradicts something.
        MissingExtra: ai-edge-litert is not installed.
    """
    spec = f"tflite:{target}"
    if device not in ("auto", "cpu"):
        raise BadModel(f'device "{device}": TFLite networks run on the CPU only; give --device cpu or auto')
    file = network_file(target, spec)
    declared = read_declaration(file, options, spec)
    with quiet_stderr():
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError:
            raise MissingExtra("ai-edge-litert", "edge") from None
        except ImportError as e:
            raise BadModel(f"ai-edge-litert is installed but cannot be imported ({one_line(e)})") from None
        try:
            network = Interpreter(model_path=str(file), num_threads=os.cpu_count() or 1)
        except Exception as e:  # LiteRT raises many types on broken files
            raise BadModel(f"{spec}: cannot be loaded as a TFLite network ({one_line(e)})") from None
        inputs, outputs = network.get_input_details(), network.get_output_details()
        feed = settle(declared, [_tensor(t) for t in inputs], [_tensor(t) for t in outputs], spec)
        try:
            if tuple(inputs[0]["shape"]) != feed.shape:
                network.resize_tensor_input(inputs[0]["index"], feed.shape)
            network.allocate_tensors()
        except Exception as e:  # an operator is unknown, or does not take this size
            raise BadModel(f"{spec}: cannot be set up for an input of {list(feed.shape)} ({one_line(e)})") from None

    def run(tensor: NDArray[Any]) -> NDArray[Any]:
        network.set_tensor(inputs[0]["index"], tensor)
        network.invoke()
        answer: NDArray[Any] = network.get_tensor(outputs[feed.index]["index"])
        return answer

    return FixedNetwork(spec, file, sha256_file(file), feed, run, "cpu")


def _tensor(described: Mapping[str, Any]) -> Tensor:
    sides = described["shape_signature"] if len(described["shape_signature"]) else described["shape"]
    shape = tuple(int(side) if side > 0 else None for side in sides)
    scale, zero = described["quantization"]
    return Tensor(described["name"], shape, np.dtype(described["dtype"]).name, (scale, zero) if scale else None)
