"""What a protocol does to a frame before and after the model sees it: the crop of the input, and flip averaging."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.frames import Frame, GroundTruth
from da2k.depth import DepthMap
from da2k.errors import BadInput
from da2k.images import Photo
from da2k.metrics.crops import Box, kb_box
from da2k.models import Model
from da2k.models.declaration import Declaration
from da2k.protocols.dense import DatasetRules, DenseProtocol
from da2k.results import ModelRecord


class _CroppedPhoto(Photo):
    """A photo of which only a box is seen; the file is decoded when its pixels are asked for, as of any photo."""

    def __init__(self, whole: Photo, box: Box) -> None:
        super().__init__(whole.name, box.size, whole.path, whole._pixels)
        self._box = box

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """RGB, uint8 [H, W, 3], of the box."""
        return np.ascontiguousarray(super().pixels[self._box.slices])


def open_input(frame: Frame, rules: DatasetRules) -> Photo:
    """The image as the model sees it."""
    photo = frame.open_photo()
    return photo if rules.input_crop == "none" else _CroppedPhoto(photo, kb_box(photo.size))


def read_truth(frame: Frame, rules: DatasetRules) -> GroundTruth:
    """The measured depth of what the model sees."""
    truth = frame.read_truth()
    if rules.input_crop == "none":
        return truth
    box = kb_box(truth.size)
    return GroundTruth(truth.depth[box.slices], truth.valid[box.slices])


def prepare_model(model: Model, protocol: DenseProtocol, rules: DatasetRules) -> Model:
    """The model with the protocol's test-time augmentation.

    Raises:
        BadInput: the model is a folder of finished maps, made with another augmentation, or of images that were cropped
            otherwise, than the protocol has it.
    """
    declaration = getattr(model, "declaration", None)
    if not isinstance(declaration, Declaration):
        return _Flipped(model) if protocol.tta == "flip" else model
    for field, declared, wanted in (
        ("tta", declaration.tta, protocol.tta),
        ("input_crop", declaration.input_crop, rules.input_crop),
    ):
        if declared != wanted:
            raise BadInput(
                f"{model.record.spec}: predictions.yaml says {field}: {declared}, and protocol {protocol.name} wants "
                f"{field}: {wanted}; make them with da2k predict --protocol {protocol.name}, declare it if they are "
                "so, or choose another protocol"
            )
    return model


class _Flipped:
    """A model whose map is the mean of the image's and of the mirrored image's, mirrored back."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def record(self) -> ModelRecord:
        """Which model this is."""
        return self._model.record

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """One averaged map an image; float32."""
        plain = list(self._model.predict([photo.copy() for photo in images]))
        mirrored = list(self._model.predict([_mirrored(photo) for photo in images]))
        if not len(plain) == len(mirrored) == len(images):
            raise BadInput(f"the model returned {len(plain)} and {len(mirrored)} maps for {len(images)} images")
        return [_mean(a, b) for a, b in zip(plain, mirrored, strict=True)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _mirrored(photo: Photo) -> Photo:
    return Photo.from_array(np.ascontiguousarray(photo.pixels[:, ::-1]), photo.name)


def _mean(plain: DepthMap, mirrored: DepthMap) -> DepthMap:
    if plain.size != mirrored.size or plain.kind is not mirrored.kind:
        raise BadInput(f"the mirrored image's map is {mirrored.size}, {mirrored.kind}, not {plain.size}, {plain.kind}")
    return DepthMap((plain.values + mirrored.values[:, ::-1]) / 2, plain.kind)
