"""da2k: score depth models on depth-ordering benchmarks such as DA-2K.

The names below are imported when they are first used, so that `import da2k` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from da2k.datasets.benchmarks import open_benchmark
    from da2k.datasets.da2k import Benchmark
    from da2k.depth import DepthKind, DepthMap
    from da2k.errors import Da2kError
    from da2k.evaluation.compare import compare
    from da2k.evaluation.dense import DenseEvaluation, evaluate_dense
    from da2k.evaluation.evaluate import Evaluation, evaluate
    from da2k.images import Photo
    from da2k.models.registry import load_model
    from da2k.pairs import Pair, Point
    from da2k.results import DenseResult, Result, read_result

_HOMES = {
    "Benchmark": "da2k.datasets.da2k",
    "Da2kError": "da2k.errors",
    "DepthKind": "da2k.depth",
    "DepthMap": "da2k.depth",
    "DenseEvaluation": "da2k.evaluation.dense",
    "DenseResult": "da2k.results",
    "Evaluation": "da2k.evaluation.evaluate",
    "Pair": "da2k.pairs",
    "Photo": "da2k.images",
    "Point": "da2k.pairs",
    "Result": "da2k.results",
    "compare": "da2k.evaluation.compare",
    "evaluate": "da2k.evaluation.evaluate",
    "evaluate_dense": "da2k.evaluation.dense",
    "load_model": "da2k.models.registry",
    "open_benchmark": "da2k.datasets.benchmarks",
    "read_result": "da2k.results",
}

__all__ = [  # noqa: RUF022 - the order of importance
    "evaluate",
    "evaluate_dense",
    "compare",
    "open_benchmark",
    "load_model",
    "read_result",
    "DepthMap",
    "DepthKind",
    "Photo",
    "Pair",
    "Point",
    "Benchmark",
    "Evaluation",
    "DenseEvaluation",
    "Result",
    "DenseResult",
    "Da2kError",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'da2k' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
