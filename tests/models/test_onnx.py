"""`onnx:<file>`, on small networks whose answer is a weighted sum of the three channels."""

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from da2k.depth import DepthKind
from da2k.errors import BadModel, MissingExtra
from da2k.images import Photo
from da2k.models.fixed_network import FixedNetwork
from da2k.models.onnx import load

pytest.importorskip("onnxruntime")

WEIGHTS = np.array([1, 10, 100], np.float32)
ELEMENT = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "float16": 10, "float64": 11}
Shape = Sequence[int | str]


# ONNX's protobuf, as much of it as these networks need; the numbers are those of onnx.proto.


def message(*fields: tuple[int, int | bytes | str]) -> bytes:
    """Fields of (number, value): whole numbers, or text and messages with their length."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def value_info(name: str, shape: Shape, dtype: str) -> bytes:
    sides = [(1, message((1, side) if isinstance(side, int) else (2, side))) for side in shape]
    return message((1, name), (2, message((1, message((1, ELEMENT[dtype]), (2, message(*sides)))))))


def constant(name: str, values: NDArray[np.generic], external: str | None = None) -> bytes:
    head = [(1, side) for side in values.shape] + [(2, ELEMENT[values.dtype.name]), (8, name)]
    if external is None:
        return message(*head, (9, values.tobytes()))
    return message(*head, (13, message((1, "location"), (2, external))), (14, 1))


def node(operator: str, inputs: Sequence[str], output: str, to: str | None = None) -> bytes:
    attribute = [(5, message((1, "to"), (3, ELEMENT[to]), (20, 2)))] if to else []
    return message(*[(1, name) for name in inputs], (2, output), (4, operator), *attribute)


def network(
    nodes: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes], constants: Sequence[bytes]
) -> bytes:
    graph = message(
        *[(1, n) for n in nodes],
        (2, "graph"),
        *[(5, c) for c in constants],
        *[(11, i) for i in inputs],
        *[(12, o) for o in outputs],
    )
    return message((1, 8), (7, graph), (8, message((2, 13))))


def weighted_sum(
    shape: Shape, layout: str = "NHWC", dtype: str = "float32", answer: str = "float32", external: str | None = None
) -> bytes:
    """photo → depth = the channels times WEIGHTS, and flat = the photo itself."""
    operator, form = ("MatMul", (3, 1)) if layout == "NHWC" else ("Conv", (1, 3, 1, 1))
    steps = [
        node("Cast", ["photo"], "real", to="float32"),
        node(operator, ["real", "weights"], "sum"),
        node("Cast", ["sum"], "depth", to=answer),
        node("Identity", ["photo"], "colours"),
    ]
    open_ = ["a", "b", "c", "d"]
    return network(
        steps,
        [value_info("photo", shape, dtype)],
        [value_info("depth", open_, answer), value_info("colours", open_, dtype)],
        [constant("weights", WEIGHTS.reshape(form), external)],
    )


@pytest.fixture
def onnx(tmp_path: Path):
    """Writes a network's bytes to a file and loads it."""

    def made(content: bytes, options: Mapping[str, str] | None = None, device: str = "cpu") -> FixedNetwork:
        file = tmp_path / "net.onnx"
        file.write_bytes(content)
        return load(str(file), {"kind": "affine_depth"} if options is None else options, device)

    return made


def photo(height: int, width: int, seed: int = 0) -> Photo:
    return Photo.from_array(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def expected(image: Photo, height: int, width: int, mean: float | list[float], std: float | list[float], bgr: bool):
    """The same sum by Pillow and numpy: [height, width]."""
    pixels = np.array(Image.fromarray(image.pixels).resize((width, height), Image.Resampling.BILINEAR)) / 255
    channels = pixels[:, :, ::-1] if bgr else pixels
    return ((channels - mean) / std) @ WEIGHTS.astype(np.float64)


@pytest.mark.parametrize(("layout", "shape"), [("NHWC", (1, 6, 10, 3)), ("NCHW", (1, 3, 6, 10))])
@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
def test_the_network_sees_the_photo_as_declared(onnx, layout, shape, bgr, mean, std) -> None:
    options = {"kind": "affine_disparity", "channels": "BGR" if bgr else "RGB"}
    options |= {key: str(value).strip("[]") for key, value in [("mean", mean), ("std", std)]}
    model = onnx(weighted_sum(shape, layout), options)
    photos = [photo(20, 13), photo(6, 10, seed=1), photo(1, 1, seed=2), photo(7, 300, seed=3)]
    maps = model.predict(photos)
    assert len(maps) == 4
    for depth, image in zip(maps, photos, strict=True):
        assert depth.kind is DepthKind.AFFINE_DISPARITY
        assert depth.values == pytest.approx(expected(image, 6, 10, mean, std, bgr), rel=1e-4, abs=1e-4)


def test_uint8_input_gets_the_pixels(onnx) -> None:
    model = onnx(weighted_sum((1, 6, 10, 3), dtype="uint8"))
    got = model.predict([photo(30, 40)])[0].values
    assert got == pytest.approx(expected(photo(30, 40), 6, 10, 0, 1 / 255, bgr=False), rel=1e-5)
    assert model.dtype == "uint8"


def test_half_precision_input(onnx) -> None:
    model = onnx(weighted_sum((1, 3, 6, 10), "NCHW", dtype="float16"))
    assert model.predict([photo(6, 10)])[0].values == pytest.approx(
        expected(photo(6, 10), 6, 10, 0, 1, bgr=False), rel=2e-3
    )


def test_integer_output_scaled_and_shifted(onnx) -> None:
    options = {"kind": "affine_disparity", "output_scale": "-0.5", "output_shift": "3"}
    model = onnx(weighted_sum((1, 6, 10, 3), dtype="uint8", answer="int32"), options)
    whole = np.round(expected(photo(6, 10), 6, 10, 0, 1 / 255, bgr=False))
    assert (model.predict([photo(6, 10)])[0].values == whole * -0.5 + 3).all()


def test_disparity_without_a_shift_becomes_depth(onnx) -> None:
    options = {"kind": "scale_invariant_depth", "output_scale": "0.5", "output_shift": "0.01", "output_inverse": "true"}
    model = onnx(weighted_sum((1, 6, 10, 3)), options)
    (depth,) = model.predict([photo(20, 13)])
    assert depth.kind is DepthKind.SCALE_INVARIANT_DEPTH
    disparity = expected(photo(20, 13), 6, 10, 0, 1, bgr=False) * 0.5 + 0.01
    assert depth.values == pytest.approx(1 / disparity, rel=1e-5)
    assert model.record.options.items() >= options.items()
    assert onnx(weighted_sum((1, 6, 10, 3)), model.record.options).record == model.record
    below = onnx(weighted_sum((1, 6, 10, 3)), {**options, "output_scale": "-1", "output_shift": "0"})
    assert np.isnan(below.predict([photo(20, 13)])[0].values).all()


def test_disparity_up_to_a_shift_is_not_inverted(onnx) -> None:
    with pytest.raises(BadModel, match=r"^onnx:.*option output_inverse='true': .*kind affine_disparity is larger"):
        onnx(weighted_sum((1, 6, 10, 3)), {"kind": "affine_disparity", "output_inverse": "true"})


def test_sides_left_open_by_the_file_come_from_the_declaration(onnx) -> None:
    content = weighted_sum(("batch", 3, "height", "width"), "NCHW")
    with pytest.raises(BadModel, match="give option height"):
        onnx(content)
    model = onnx(content, {"kind": "affine_depth", "height": "5", "width": "9"})
    assert model.predict([photo(20, 13)])[0].values == pytest.approx(
        expected(photo(20, 13), 5, 9, 0, 1, bgr=False), rel=1e-4
    )


def test_a_size_that_contradicts_the_file(onnx) -> None:
    with pytest.raises(BadModel, match="option height=10, but the network's input has height 6"):
        onnx(weighted_sum((1, 6, 10, 3)), {"kind": "affine_depth", "height": "10", "width": "6"})


def test_an_output_that_is_no_map_is_refused_when_loading(onnx) -> None:
    content = weighted_sum((1, 6, 10, 3))
    for chosen in ("colours", "1"):
        with pytest.raises(BadModel, match=r"output colours is float32 \[1, 6, 10, 3\]"):
            onnx(content, {"kind": "affine_depth", "output": chosen})
    with pytest.raises(BadModel, match='did you mean "depth"'):
        onnx(content, {"kind": "affine_depth", "output": "detph"})
    assert onnx(content, {"kind": "affine_depth", "output": "depth"}).predict([photo(3, 3)])[0].size == (6, 10)


def test_a_network_that_fails_on_the_declared_size_is_refused_when_loading(onnx, capfd) -> None:
    content = network(
        [node("Reshape", ["photo", "form"], "depth")],
        [value_info("photo", (1, 3, "h", "w"), "float32")],
        [value_info("depth", ("a", "b"), "float32")],
        [constant("form", np.array([12, 6], np.int64))],
    )
    options = {"kind": "affine_depth", "height": "4"}
    assert onnx(content, {**options, "width": "6"}).predict([photo(3, 3)])[0].size == (12, 6)
    with pytest.raises(BadModel, match=r"cannot run on an input of \[1, 3, 4, 5\]") as error:
        onnx(content, {**options, "width": "5"})
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_the_record_tells_everything_in_force(onnx, tmp_path: Path) -> None:
    (tmp_path / "net.onnx.yaml").write_text("kind: metric_depth\nmean: 0.5\nchannels: BGR\n")
    content = weighted_sum((1, 6, 10, 3))
    model = onnx(content, {"std": "0.25"}, device="auto")
    record = model.record
    assert (record.name, record.spec) == ("net", f"onnx:{tmp_path / 'net.onnx'}")
    assert (record.kind, record.aspect) == (DepthKind.METRIC_DEPTH, "stretched")
    assert record.weights_digest == hashlib.sha256(content).hexdigest()
    assert record.options.items() >= {"channels": "BGR", "height": "6", "width": "10", "layout": "NHWC"}.items()
    assert "6 x 10" in str(record.preprocessing)
    assert (model.device, model.dtype) == ("cpu", "float32")

    (tmp_path / "net.onnx.yaml").unlink()
    again = onnx(content, record.options)
    assert again.record == record
    assert again.predict([photo(9, 9)])[0].values.tobytes() == model.predict([photo(9, 9)])[0].values.tobytes()


def test_the_same_photo_gives_the_same_bytes(onnx) -> None:
    model = onnx(weighted_sum((1, 3, 60, 100), "NCHW"))
    one, other, again = model.predict([photo(50, 50), photo(50, 50, seed=1), photo(50, 50)])
    assert one.values.tobytes() == again.values.tobytes() != other.values.tobytes()


@pytest.mark.parametrize("name", ["net.onnx.data", "w" * 200])
def test_weights_in_another_file_count_in_the_digest(onnx, tmp_path: Path, name: str) -> None:
    content = weighted_sum((1, 6, 10, 3), external=name)
    digests = set()
    for factor in (1, 2):
        (tmp_path / name).write_bytes((WEIGHTS * factor).tobytes())
        model = onnx(content)
        assert model.predict([photo(6, 10)])[0].values == pytest.approx(
            factor * expected(photo(6, 10), 6, 10, 0, 1, bgr=False), rel=1e-5
        )
        digests.add(model.record.weights_digest)
    assert len(digests) == 2
    (tmp_path / name).unlink()
    with pytest.raises(BadModel, match="cannot be loaded as an ONNX network"):
        onnx(content)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"this is a text, not a network\n" * 20, "cannot be loaded as an ONNX network"),
        (weighted_sum((1, 6, 10, 3))[:-40], "cannot be loaded as an ONNX network"),
        (
            network(
                [node("Guess", ["photo"], "depth")],
                [value_info("photo", (1, 6, 10, 3), "float32")],
                [value_info("depth", (1, 6, 10, 1), "float32")],
                [],
            ),
            "Guess",
        ),
        (weighted_sum((1, 6, 10, 3), dtype="int64"), "input photo is"),
    ],
)
def test_bad_files_give_one_line_and_nothing_on_stderr(onnx, capfd, content: bytes, told: str) -> None:
    with pytest.raises(BadModel, match=told) as error:
        onnx(content)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("onnx:")
    assert capfd.readouterr().err == ""


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"none\.onnx: no such file"):
        load(str(tmp_path / "none.onnx"), {}, "cpu")
    with pytest.raises(BadModel, match="this is a folder"):
        load(str(tmp_path), {}, "cpu")


def test_two_inputs(onnx) -> None:
    content = network(
        [node("Add", ["photo", "hint"], "depth")],
        [value_info(name, (1, 6, 10, 3), "float32") for name in ("photo", "hint")],
        [value_info("depth", (1, 6, 10, 3), "float32")],
        [],
    )
    with pytest.raises(BadModel, match=r"2 inputs \(photo, hint\)"):
        onnx(content)


def test_devices(onnx) -> None:
    import onnxruntime

    content = weighted_sum((1, 6, 10, 3))
    for device in ("gpu", "cuda:x", "cpu:0"):
        with pytest.raises(BadModel, match=f'device "{device}" is not one of auto, cpu, cuda'):
            onnx(content, device=device)
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime has CUDA here")
    for device in ("cuda", "cuda:1"):
        with pytest.raises(BadModel, match="install onnxruntime-gpu or give --device cpu"):
            onnx(content, device=device)


def test_without_onnxruntime(onnx, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"onnxruntime is not installed.*da2k\[edge\]"):
        onnx(weighted_sum((1, 6, 10, 3)))


def test_importing_the_adapters_imports_no_runtime() -> None:
    check = (
        "import sys, da2k.models.onnx, da2k.models.tflite; "
        "print({'onnxruntime', 'ai_edge_litert', 'torch'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "set()\n"
