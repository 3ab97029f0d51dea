"""Where a torch network runs, and at which precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from da2k.errors import BadModel, MissingExtra

if TYPE_CHECKING:
    import torch

Dtype = Literal["float32", "float16", "bfloat16"]
"""What a network computes in."""


def choose_device(name: str) -> "torch.device":
    """The device of this name.

    Args:
        name: "cpu", "cuda", "cuda:n", or "auto", which is the first GPU where there is one, else the CPU.

    Raises:
        BadModel: the name is no device, or this machine has no such GPU.
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", "models") from None
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if name != "cpu" and (kind != "cuda" or (colon and not index.isdecimal())):
        raise BadModel(f'device "{name}" is not one of auto, cpu, cuda, cuda:0, cuda:1, …')
    if name == "cpu":
        return torch.device("cpu")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= gpus:
        here = f"torch sees {gpus} GPU(s), cuda:0 to cuda:{gpus - 1}" if gpus else "torch sees no GPU here"
        raise BadModel(f'device "{name}": {here}; give --device cpu or auto')
    return torch.device("cuda", int(index or 0))


def require_dtype(dtype: Dtype, device: "torch.device", where: str) -> None:
    """Check that networks can compute in this type on this device.

    Raises:
        BadModel: half precision on the CPU, where parts of the networks have no such arithmetic.
    """
    if dtype != "float32" and device.type == "cpu":
        raise BadModel(f"{where}: option dtype={dtype} needs a GPU; on the CPU networks run in float32")


def torch_dtype(dtype: Dtype) -> "torch.dtype":
    """torch's type of this name."""
    import torch

    found: torch.dtype = getattr(torch, dtype)
    return found


@contextmanager
def inference() -> Iterator[None]:
    """Run networks without gradients and in full float32: no TF32, whatever the calling program has chosen.

    The caller's settings come back afterwards, so that an evaluation inside a training loop changes nothing.

    Raises:
        MemoryError: torch could not get memory of the machine, which it says with a plain RuntimeError.
    """
    import torch

    cudnn: Any = torch.backends.cudnn
    matmul, conv = torch.backends.cuda.matmul, cudnn.conv
    chosen = matmul.fp32_precision, conv.fp32_precision
    matmul.fp32_precision = conv.fp32_precision = "ieee"
    try:
        with torch.inference_mode():
            yield
    except RuntimeError as e:
        _, told, lack = str(e).partition("DefaultCPUAllocator: ")
        if not told:
            raise
        raise MemoryError(lack) from None
    finally:
        matmul.fp32_precision, conv.fp32_precision = chosen
