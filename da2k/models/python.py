"""Models that are Python code: `python:<module>:<factory>`, and any object or function handed to the library."""

import sys
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib import import_module, util
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput, BadModel
from da2k.images import Photo
from da2k.models import Model
from da2k.results import ModelRecord

Aspect = Literal["kept", "stretched"]


class PythonModel:
    """A function or object of the user's, made to look like any other model.

    Attributes:
        record: its name and, once it is known, what its maps mean.
    """

    dtype = "unknown"
    device = "unknown"

    def __init__(self, given: Any, record: ModelRecord) -> None:
        self._predict: Callable[[Sequence[Photo]], Sequence[Any]]
        if hasattr(given, "predict"):
            self._predict = given.predict
        elif callable(given):
            self._predict = lambda images: [given(photo.pixels) for photo in images]
        else:
            raise BadModel(f"{record.spec}: {type(given).__name__} has no predict(images) and is not a function")
        self.record = record
        self._typed = False

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """What the user's code returns for these images, as depth maps."""
        return [self._as_map(answer) for answer in self._predict(images)]

    def _as_map(self, answer: Any) -> DepthMap:
        if isinstance(answer, DepthMap):
            self._typed = True
            return answer
        if answer is None or (self._typed and self.record.kind is None):
            raise BadInput(f"the model returned {type(answer).__name__}, not a map")
        if self.record.kind is None:
            raise BadModel(
                f"{self.record.spec}: returns {type(answer).__name__} without saying what it means; "
                f"give kind=, one of {', '.join(DepthKind)}, or return a DepthMap"
            )
        return DepthMap(_as_array(answer), self.record.kind)


def as_model(given: Any, kind: DepthKind | str | None = None, aspect: Aspect = "kept") -> Model:
    """Make a model of an object with `predict(images)`, or of a function from RGB pixels to a map.

    Args:
        given: an object whose `predict` takes a list of `Photo` and returns as many maps; or a function that
            takes uint8 [H, W, 3] and returns [h, w]. Maps are DepthMap, numpy arrays or torch tensors.
        kind: what plain arrays mean; not needed where DepthMaps are returned.
        aspect: "kept", or "stretched" if the maps do not have the images' aspect.

    Raises:
        BadModel: it is neither.
    """
    if aspect not in get_args(Aspect):
        raise BadModel(f'aspect "{aspect}" is neither "kept" nor "stretched"')
    record = getattr(given, "record", None)
    if isinstance(record, ModelRecord):
        model: Model = given
        return model
    name = getattr(given, "__qualname__", None) or type(given).__qualname__
    module = getattr(given, "__module__", None) or type(given).__module__
    parsed = None if kind is None else DepthKind.parse(str(kind))
    return PythonModel(given, ModelRecord(name=name, spec=f"python:{module}:{name}", kind=parsed, aspect=aspect))


def load(target: str, options: Mapping[str, str], device: str) -> Model:  # noqa: ARG001
    """The adapter of `python:<module>:<factory>` and `python:<file.py>:<factory>`.

    The factory is called with the model options as keyword arguments, text each, and returns an object with
    `predict(images)` or a function. The options `kind` and `aspect` are kept for da2k, for factories whose
    product returns plain arrays. Modules are looked for in the current folder first.

    Raises:
        BadModel: the module or the factory cannot be found, or the factory fails.
    """
    spec = f"python:{target}"
    place, colon, factory_name = target.rpartition(":")
    if not colon or not place or not factory_name:
        raise BadModel(f"{spec}: write python:<module>:<factory> or python:<file.py>:<factory>")
    module = _module(place, spec)
    factory = getattr(module, factory_name, None)
    if not callable(factory):
        raise BadModel(f"{spec}: {place} has no function {factory_name}")
    arguments = {key: value for key, value in options.items() if key not in ("kind", "aspect")}
    try:
        made = factory(**arguments)
    except Exception as e:
        raise BadModel(f"{spec}: {factory_name}({', '.join(arguments)}) failed: {type(e).__name__}: {e}") from e
    model = as_model(made, options.get("kind"), cast(Aspect, options.get("aspect", "kept")))
    update: dict[str, Any] = {"spec": spec, "options": dict(options)}
    if isinstance(model, PythonModel):
        update |= {"name": f"{Path(place).stem}:{factory_name}", "weights_digest": _source_digest(module)}
        model.record = model.record.model_copy(update=update)
    return model


def _module(place: str, spec: str) -> Any:
    try:
        if place.endswith(".py"):
            path = Path(place).resolve()
            name = f"da2k_model_{path.stem}"  # not the stem itself: a file numpy.py must not stand in for numpy
            found = util.spec_from_file_location(name, path)
            if found is None or found.loader is None or not path.is_file():
                raise BadModel(f"{spec}: no file {place}")
            module = util.module_from_spec(found)
            sys.modules[name] = module
            found.loader.exec_module(module)
            return module
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)
        return import_module(place)
    except BadModel:
        raise
    except Exception as e:
        raise BadModel(f"{spec}: {place} cannot be imported: {type(e).__name__}: {e}") from e


def _source_digest(module: Any) -> str | None:
    """SHA-256 of the module's source: changed code must not resume another code's run."""
    source = getattr(module, "__file__", None)
    return sha256(Path(source).read_bytes()).hexdigest() if source else None


def _as_array(answer: Any) -> NDArray[Any]:
    return np.asarray(answer.detach().cpu().float() if hasattr(answer, "detach") else answer)
