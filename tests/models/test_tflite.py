"""`tflite:<file>`: three real networks on real photos, and small networks made here for what those do not have."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from da2k.depth import DepthKind
from da2k.errors import BadModel, MissingExtra
from da2k.images import Photo
from da2k.metrics.ordering import count_outcomes, order_outcomes
from da2k.models.tflite import load
from da2k.results import Counts

pytest.importorskip("ai_edge_litert")


@dataclass(frozen=True)
class Real:
    """A network of the shared folder: how it is declared, and what is known of it."""

    file: str
    options: Mapping[str, str]
    size: tuple[int, int]
    layout: str
    dtype: str
    factor: float
    counts: tuple[int, int, int]

    def expected(self, file: Path, photos: Sequence[Photo], output: int = 0) -> Iterator[NDArray[np.float64]]:
        """Its maps by the interpreter itself, with nothing of the adapter."""
        from ai_edge_litert.interpreter import Interpreter

        network = Interpreter(model_path=str(file), num_threads=2)
        network.allocate_tensors()
        for photo in photos:
            small = np.asarray(Image.fromarray(photo.pixels).resize(self.size[::-1], Image.Resampling.BILINEAR))
            given = small if self.dtype == "uint8" else small.astype(np.float32) / 255
            given = given.transpose(2, 0, 1) if self.layout == "NCHW" else given
            network.set_tensor(network.get_input_details()[0]["index"], given[None])
            network.invoke()
            answer = network.get_tensor(network.get_output_details()[output]["index"])
            yield (answer[0, 0] if self.layout == "NCHW" else answer[0, :, :, 0]).astype(np.float64) * self.factor


REAL = {
    "FastDepth": Real(
        "fast_depth_224.tflite", {"kind": "metric_depth"}, (224, 224), "NHWC", "uint8", 0.0717, (68, 32, 3)
    ),
    "Mobile PyDNet": Real(
        "mobile_pydnet_kitti_pruned35_192x640.tflite",
        {"kind": "affine_disparity", "output_scale": "-1"},
        (192, 640),
        "NCHW",
        "float32",
        -1,
        (66, 37, 0),
    ),
    "PyDNet++": Real(
        "pydnetpp_matterport_q8_448x640.tflite",
        {"kind": "affine_depth"},
        (448, 640),
        "NHWC",
        "float32",
        1,
        (65, 38, 0),
    ),
}

PHOTOS = ("indoor/lotus_10.jpg", "aerial/brighton_DJI_0018.jpg", "object/dav2_demo07.jpg")


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest, shared: Path) -> tuple[Real, Path]:
    network = REAL[request.param]
    return network, shared / "data" / "weights" / network.file


@pytest.fixture
def fast_depth(shared: Path, tmp_path: Path) -> Path:
    """A copy of FastDepth, beside which a declaration can be written."""
    return Path(shutil.copy(shared / "data" / "weights" / REAL["FastDepth"].file, tmp_path / "net.tflite"))


def test_real_networks_on_real_photos(real: tuple[Real, Path], shared: Path) -> None:
    network, file = real
    model = load(str(file), network.options, "auto")
    photos = [Photo.open(shared / "data" / "mini-da2k" / "images" / name) for name in PHOTOS]
    maps = model.predict(photos)
    for depth, expected in zip(maps, network.expected(file, photos), strict=True):
        assert depth.kind == network.options["kind"]
        np.testing.assert_allclose(depth.values, expected, rtol=1e-5)
    assert model.predict([photos[0]])[0].values.tobytes() == maps[0].values.tobytes()

    assert (model.device, model.dtype) == ("cpu", network.dtype)
    assert model.record.weights_digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert model.record.name == file.stem
    assert model.record.aspect == "stretched"
    assert "{} x {}".format(*network.size) in str(model.record.preprocessing)
    assert model.record.options["layout"] == network.layout


def test_a_real_network_of_disparity_without_a_shift_becomes_depth(shared: Path) -> None:
    network = REAL["Mobile PyDNet"]
    file = shared / "data" / "weights" / network.file
    photos = [Photo.open(shared / "data" / "mini-da2k" / "images" / name) for name in PHOTOS]
    options = {"kind": "scale_invariant_depth", "output_scale": "-1", "output_inverse": "true"}
    model = load(str(file), options, "cpu")
    for depth, disparity in zip(model.predict(photos), network.expected(file, photos), strict=True):
        assert depth.kind is DepthKind.SCALE_INVARIANT_DEPTH
        assert (disparity > 0).all()
        np.testing.assert_allclose(depth.values, 1 / disparity, rtol=1e-5)
    plain = load(str(file), network.options, "cpu").record.options
    assert model.record.options == {**plain, "kind": "scale_invariant_depth", "output_inverse": "true"}


def test_an_output_by_index_or_name(shared: Path) -> None:
    network = REAL["PyDNet++"]
    file = shared / "data" / "weights" / network.file
    photo = Photo.open(shared / "data" / "mini-da2k" / "images" / PHOTOS[0])
    first, second, named = (
        load(str(file), {**network.options, "output": chosen}, "cpu").predict([photo])[0].values
        for chosen in ("0", "1", "PSD/resize_images_1/ResizeBilinear")
    )
    (expected,) = network.expected(file, [photo], output=1)
    np.testing.assert_allclose(second, expected, rtol=1e-5)
    assert (named == second).all()
    assert (first != second).mean() > 0.9


def test_real_networks_give_the_known_counts_on_mini_da2k(real: tuple[Real, Path], shared: Path) -> None:
    network, file = real
    model = load(str(file), network.options, "cpu")
    benchmark = shared / "data" / "mini-da2k"
    outcomes = []
    for image, pairs in json.loads((benchmark / "annotations.json").read_text()).items():
        photo = Photo.open(benchmark / image)
        depth = model.predict([photo])[0]
        closer = [pair[pair["closer_point"]] for pair in pairs]
        farther = [pair["point2" if pair["closer_point"] == "point1" else "point1"] for pair in pairs]
        outcomes += order_outcomes(depth.read_at(closer, photo.size), depth.read_at(farther, photo.size), depth.kind)
    correct, wrong, tied = network.counts
    assert count_outcomes(outcomes) == Counts(total=103, correct=correct, wrong=wrong, tied=tied)


def test_yaml_beside_the_file_overruled_by_options(fast_depth: Path) -> None:
    fast_depth.with_name("net.tflite.yaml").write_text("kind: affine_disparity\noutput_scale: -1\n")
    photo = Photo.from_array(np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8))
    from_yaml = load(str(fast_depth), {}, "cpu")
    assert from_yaml.record.kind is DepthKind.AFFINE_DISPARITY
    overruled = load(str(fast_depth), {"kind": "metric_depth", "output_scale": "1"}, "cpu")
    assert overruled.record.kind is DepthKind.METRIC_DEPTH
    assert (overruled.predict([photo])[0].values == -from_yaml.predict([photo])[0].values).all()
    assert overruled.record.options == {
        **from_yaml.record.options,
        "kind": "metric_depth",
        "output_scale": "1.0",
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, f"one of {', '.join(DepthKind)}"),
        ({"kind": "metric_depth", "heigth": "224"}, 'did you mean "height"'),
        ({"kind": "metric_depth", "width": "640"}, "option width=640, but the network's input has width 224"),
        ({"kind": "metric_depth", "layout": "NCHW"}, "option layout=NCHW"),
        ({"kind": "metric_depth", "output": "1"}, 'no output "1"'),
        ({"kind": "metric_depth", "mean": "120"}, r"holds 0 to 1$"),
    ],
)
def test_mistakes_in_the_declaration(fast_depth: Path, options: dict[str, str], told: str) -> None:
    with pytest.raises(BadModel, match=told) as error:
        load(str(fast_depth), options, "cpu")
    assert str(error.value).startswith(f"tflite:{fast_depth}: ")
    assert "\n" not in str(error.value)


def test_two_yamls(fast_depth: Path) -> None:
    for name in ("net.yaml", "net.tflite.yaml"):
        fast_depth.with_name(name).write_text("kind: metric_depth")
    with pytest.raises(BadModel, match=r"net\.yaml stands beside it"):
        load(str(fast_depth), {}, "cpu")


@pytest.mark.parametrize("kept", [0.001, 0.5, 0.9999])
def test_truncated_networks(fast_depth: Path, kept: float, capfd: pytest.CaptureFixture[str]) -> None:
    content = fast_depth.read_bytes()
    fast_depth.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(BadModel, match="cannot be loaded as a TFLite network") as error:
        load(str(fast_depth), {"kind": "metric_depth"}, "cpu")
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_files_that_are_no_network(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    for content, told in [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"no network\n" * 99, "cannot be loaded"),
    ]:
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(BadModel, match=rf"^tflite:.*net\.tflite: .*{told}"):
            load(str(file), {"kind": "metric_depth"}, "cpu")
    with pytest.raises(BadModel, match="this is a folder"):
        load(str(tmp_path), {"kind": "metric_depth"}, "cpu")


def test_only_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match='device "cuda": TFLite networks run on the CPU only'):
        load(str(tmp_path / "net.tflite"), {"kind": "metric_depth"}, "cuda")


def test_without_litert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.tflite").write_bytes(red_channel("float32", (1, 4, 6, 3)))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtra, match=r"ai-edge-litert is not installed.*da2k\[edge\]"):
        load(str(tmp_path / "net.tflite"), {"kind": "metric_depth"}, "cpu")


def red_channel(dtype: str, shape: tuple[int, ...], quantisation: tuple[float, int] | None = None) -> bytes:
    """A network, photo → its first channel, in the input's type and quantisation; -1 leaves a side open."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, sides: tuple[int, ...], type_: str, buffer: int = 0) -> object:
        made = schema.TensorT()
        made.name, made.buffer, made.type = name, buffer, getattr(schema.TensorType, type_.upper())
        made.shape, made.shapeSignature = [max(side, 1) for side in sides], list(sides)
        if quantisation and type_ == dtype:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [quantisation[0]], [quantisation[1]]
        return made

    gather = schema.OperatorT()
    gather.inputs, gather.outputs = [0, 1], [2]
    gather.builtinOptionsType, gather.builtinOptions = schema.BuiltinOptions.GatherOptions, schema.GatherOptionsT()
    gather.builtinOptions.axis = 3
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("photo", shape, dtype),
        tensor("channel", (1,), "int32", buffer=1),
        tensor("map", (*shape[:3], 1), dtype),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [gather]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.GATHER
    code.version = 2
    first = schema.BufferT()
    first.data = [0, 0, 0, 0]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT(), first]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def small_photo() -> Photo:
    return Photo.from_array(np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8))


@pytest.mark.parametrize(
    ("dtype", "quantisation"), [("int8", (1 / 255, -128)), ("uint8", (1 / 255, 0)), ("float32", None)]
)
@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_quantised_in_and_out(tmp_path: Path, dtype: str, quantisation, channels: str) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(red_channel(dtype, (1, 4, 6, 3), quantisation))
    model = load(str(file), {"kind": "affine_depth", "channels": channels}, "cpu")
    first = small_photo().pixels[:, :, 0 if channels == "RGB" else 2]
    assert model.predict([small_photo()])[0].values == pytest.approx(first / 255, abs=1e-6)
    assert model.dtype == dtype


def test_a_quantised_disparity_becomes_depth_and_zero_has_none(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(red_channel("uint8", (1, 4, 6, 3), (1 / 255, 0)))
    pixels = small_photo().pixels.copy()
    pixels[0, :2, 0] = (0, 1)
    options = {"kind": "scale_invariant_depth", "output_inverse": "true"}
    (depth,) = load(str(file), options, "cpu").predict([Photo.from_array(pixels)])
    with np.errstate(divide="ignore"):
        expected = np.where(pixels[:, :, 0] > 0, 255 / pixels[:, :, 0].astype(np.float64), np.nan)
    np.testing.assert_allclose(depth.values, expected, rtol=1e-6)
    assert np.isnan(depth.values[0, 0])
    assert depth.values[0, 1] == pytest.approx(255)


def test_sides_left_open_by_the_file_come_from_the_declaration(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(red_channel("float32", (-1, -1, -1, 3)))
    with pytest.raises(BadModel, match="give option height"):
        load(str(file), {"kind": "affine_depth", "width": "6"}, "cpu")
    model = load(str(file), {"kind": "affine_depth", "height": "4", "width": "6"}, "cpu")
    assert model.predict([small_photo()])[0].values == pytest.approx(small_photo().pixels[:, :, 0] / 255)


@pytest.mark.parametrize("before", ["", "os.close(2)"])
def test_nothing_on_stderr_even_where_there_is_none(tmp_path: Path, before: str) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(red_channel("float32", (1, 4, 6, 3)))
    script = f"""
import os, sys
from da2k.models.tflite import load
{before}
print(load(sys.argv[1], {{"kind": "affine_depth"}}, "cpu").record.name)
{"" if before else "os.write(2, b'still there')"}
"""
    ran = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("net\n", "" if before else "still there")
