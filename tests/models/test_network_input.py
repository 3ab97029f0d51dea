"""How a network file is declared, and what its input gets for a pixel."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.depth import DepthKind
from da2k.errors import BadModel
from da2k.models.network_input import Feed, Tensor, settle
from da2k.models.network_options import NetworkOptions, read_declaration

FLOAT = Tensor("photo", (1, 4, 6, 3), "float32")
MAP = Tensor("map", (1, 4, 6, 1), "float32")


def feed(tensor: Tensor = FLOAT, output: Tensor = MAP, **fields: object) -> Feed:
    declared = NetworkOptions.model_validate({"kind": "affine_depth", **fields})
    return settle(declared, [tensor], [output], "net")


def one_pixel(feed_: Feed, red: int, green: int, blue: int) -> list[float]:
    """What the network gets for a photo of one colour, channel by channel in the network's order."""
    got = feed_.network_input(np.full((9, 5, 3), (red, green, blue), np.uint8))
    assert got.shape == feed_.shape
    assert got.dtype == feed_.input.dtype
    channels = got[0] if feed_.options.layout == "NCHW" else np.moveaxis(got[0], -1, 0)
    assert (channels == channels[:, :1, :1]).all()
    return [float(channel[0, 0]) for channel in channels]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return tmp_path / "net.tflite"


class TestDeclaration:
    def test_yaml_beside_the_file_under_either_name(self, net: Path) -> None:
        for name in ("net.tflite.yaml", "net.yaml"):
            (net.parent / name).write_text(
                "kind: metric_depth\nmean: [0.1, 0.2, 0.3]\nstd: 2\noutput: 1\nscale: 1e-2\n"
            )
            declared = read_declaration(net, {}, "net")
            assert declared.kind is DepthKind.METRIC_DEPTH
            assert declared.mean == (0.1, 0.2, 0.3)
            assert declared.std == (2, 2, 2)
            assert (declared.output, declared.scale) == ("1", 0.01)
            (net.parent / name).unlink()

    def test_options_overrule_the_yaml_key_by_key(self, net: Path) -> None:
        net.with_suffix(".yaml").write_text("kind: affine_depth\nchannels: BGR\n")
        declared = read_declaration(net, {"kind": "affine_disparity", "std": "0.229, 0.224,0.225"}, "net")
        assert (declared.kind, declared.channels) == (DepthKind.AFFINE_DISPARITY, "BGR")
        assert declared.std == (0.229, 0.224, 0.225)

    def test_a_file_without_ending_has_one_declaration(self, tmp_path: Path) -> None:
        (tmp_path / "net.yaml").write_text("kind: affine_depth")
        assert read_declaration(tmp_path / "net", {}, "net").kind is DepthKind.AFFINE_DEPTH

    def test_two_yamls_are_refused(self, net: Path) -> None:
        for name in ("net.tflite.yaml", "net.yaml"):
            (net.parent / name).write_text("kind: metric_depth")
        with pytest.raises(BadModel, match=r"net\.tflite\.yaml: net\.yaml stands beside it"):
            read_declaration(net, {}, "net")

    @pytest.mark.parametrize("yaml", [None, "channels: RGB"])
    def test_without_kind_the_error_lists_the_kinds_and_says_where_to_write_it(
        self, net: Path, yaml: str | None
    ) -> None:
        if yaml:
            net.with_suffix(".yaml").write_text(yaml)
        with pytest.raises(BadModel) as error:
            read_declaration(net, {}, "tflite:net.tflite")
        place = "net.yaml" if yaml else "net.tflite.yaml"
        assert all(part in str(error.value) for part in [*DepthKind, str(net.parent / place), "--model-option kind="])

    @pytest.mark.parametrize(
        ("yaml", "told"),
        [
            ("kind: depth", "kind"),
            ("knd: metric_depth", 'did you mean "kind"'),
            ("kind: metric_depth\nwidth: 0", "width"),
            ("kind: metric_depth\nwidth: wide", "width"),
            ("kind: metric_depth\nlayout: HWC", "layout"),
            ("kind: metric_depth\nchannels: GRB", "channels"),
            ("kind: metric_depth\nscale: -1", "scale"),
            ("kind: metric_depth\nscale: .inf", "scale"),
            ("kind: metric_depth\nmean: [1, 2]", "mean"),
            ("kind: metric_depth\nmean: {}", "mean"),
            ("kind: metric_depth\nmean: [1, .nan, 2]", "mean"),
            ("kind: metric_depth\nstd: [1, 0, 1]", "std"),
            ("kind: metric_depth\nresample: area", "resample"),
            ("kind: metric_depth\noutput: [1]", "output"),
            ("kind: metric_depth\noutput_scale: 0", "output_scale"),
            ("kind: metric_depth\noutput_inverse: 2", "output_inverse"),
            ("kind: affine_disparity\noutput_inverse: true", "output_inverse"),
            ("output_inverse: true\nkind: affine_disparity", "output_inverse"),
            ("kind: metric_depth\n1: 2", '"1"'),
            ("kind: [metric_depth", "cannot be read as YAML"),
            ("metric_depth", "must hold fields"),
            ("", "must hold fields"),
        ],
    )
    def test_mistakes_in_the_yaml_name_the_file_and_the_field_on_one_line(
        self, net: Path, yaml: str, told: str
    ) -> None:
        place = net.with_suffix(".yaml")
        place.write_text(yaml)
        with pytest.raises(BadModel) as error:
            read_declaration(net, {}, "tflite:net.tflite")
        message = str(error.value)
        assert message.startswith(f"{place}: ")
        assert told in message
        assert "\n" not in message

    def test_mistakes_in_an_option_name_it(self, net: Path) -> None:
        for key, value in [("mean", "0.1,zero,0.2"), ("std", "1,2"), ("height", "tall"), ("resampling", "bicubic")]:
            with pytest.raises(BadModel, match=rf"^tflite:x: .*{key}.*"):
                read_declaration(net, {"kind": "affine_depth", key: value}, "tflite:x")

    def test_bytes_that_are_no_text(self, net: Path) -> None:
        net.with_suffix(".yaml").write_bytes(b"kind: \xff\xfe")
        with pytest.raises(BadModel, match="cannot be read as YAML"):
            read_declaration(net, {}, "net")

    def test_as_text_gives_the_same_declaration_back(self) -> None:
        fields = {"kind": "affine_depth", "scale": 1 / 3, "mean": "0.1,0.2,0.3", "output": 2, "output_scale": -1}
        declared = NetworkOptions.model_validate(fields)
        text = declared.as_text()
        assert all(isinstance(value, str) for value in text.values())
        assert NetworkOptions.model_validate(text) == declared

    def test_output_inverse_is_told_only_where_it_is_in_force(self) -> None:
        plain = NetworkOptions(kind=DepthKind.AFFINE_DEPTH)
        inverse = NetworkOptions(kind=DepthKind.AFFINE_DEPTH, output_inverse=True)
        assert "output_inverse" not in plain.as_text()
        assert inverse.as_text() == {**plain.as_text(), "output_inverse": "true"}
        for declared in (plain, inverse):
            assert NetworkOptions.model_validate(declared.as_text()) == declared

    def test_a_network_of_disparity_up_to_a_shift_cannot_be_inverted(self, net: Path) -> None:
        net.with_suffix(".yaml").write_text("kind: affine_disparity\n")
        with pytest.raises(BadModel) as error:
            read_declaration(net, {"output_inverse": "true"}, "tflite:net.tflite")
        message = str(error.value)
        assert message.startswith("tflite:net.tflite: option output_inverse='true': ")
        assert "1 / output is a depth" in message
        assert "affine_disparity is larger = nearer" in message
        assert "\n" not in message
        overruled = {"output_inverse": "yes", "kind": "scale_invariant_depth"}
        assert read_declaration(net, overruled, "net").output_inverse
        assert not read_declaration(net, {"output_inverse": "false"}, "net").output_inverse


class TestSizeAndLayout:
    @pytest.mark.parametrize(
        ("shape", "layout", "size"),
        [
            ((1, 4, 6, 3), "NHWC", (4, 6)),
            ((1, 3, 4, 6), "NCHW", (4, 6)),
            ((None, 4, 3, 3), "NHWC", (4, 3)),
            ((1, 3, 3, 6), "NCHW", (3, 6)),
        ],
    )
    def test_read_off_from_the_file(self, shape: tuple[int | None, ...], layout: str, size: tuple[int, int]) -> None:
        got = feed(Tensor("photo", shape, "float32"))
        assert (got.options.layout, got.size) == (layout, size)
        assert (got.options.height, got.options.width) == size

    def test_open_sides_have_to_be_given(self) -> None:
        tensor = Tensor("photo", (None, 3, None, None), "float32")
        with pytest.raises(BadModel, match="leaves the input's height open; give option height"):
            feed(tensor)
        with pytest.raises(BadModel, match="give option width"):
            feed(tensor, height=8)
        assert feed(tensor, height=8, width=12).shape == (1, 3, 8, 12)

    def test_an_open_layout_has_to_be_given(self) -> None:
        for shape in [(1, 3, 8, 3), (None, None, None, None)]:
            tensor = Tensor("photo", shape, "float32")
            with pytest.raises(BadModel, match="give option layout, NHWC or NCHW"):
                feed(tensor, width=8 if shape[2] is None else None)
            size = {"height": 8, "width": 4} if shape[0] is None else {}
            assert feed(tensor, layout="NHWC", **size).options.layout == "NHWC"
            assert feed(tensor, layout="NCHW", **size).options.layout == "NCHW"

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"height": 5}, "option height=5, but the network's input has height 4"),
            ({"width": 4}, "option width=4, but the network's input has width 6"),
            ({"layout": "NCHW"}, "option layout=NCHW"),
        ],
    )
    def test_contradictions_are_refused(self, fields: dict[str, object], told: str) -> None:
        with pytest.raises(BadModel, match=told):
            feed(**fields)

    @pytest.mark.parametrize(
        ("tensor", "told"),
        [
            (Tensor("grey", (1, 4, 6, 1), "float32"), "an axis of 3 channels"),
            (Tensor("batch", (4, 4, 6, 3), "float32"), "one RGB image"),
            (Tensor("vector", (1, 3), "float32"), "one RGB image"),
            (Tensor("whole", (1, 4, 6, 3), "int64"), "is int64"),
        ],
    )
    def test_inputs_that_are_no_image(self, tensor: Tensor, told: str) -> None:
        with pytest.raises(BadModel, match=rf"input {tensor.name} .*{told}"):
            feed(tensor)

    def test_two_inputs(self) -> None:
        declared = NetworkOptions(kind=DepthKind.AFFINE_DEPTH)
        with pytest.raises(BadModel, match=r"2 inputs \(photo, prompt\)"):
            settle(declared, [FLOAT, replace(FLOAT, name="prompt")], [MAP], "net")


class TestUnits:
    def test_default_is_every_pixel_value_over_255(self) -> None:
        ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
        got = feed(Tensor("photo", (1, 1, 256, 3), "float32")).network_input(ramp)
        assert (got[0] == ramp.astype(np.float32) / np.float32(255)).all()

    @given(
        colour=st.tuples(*[st.integers(0, 255)] * 3),
        scale=st.floats(1e-4, 10),
        mean=st.tuples(*[st.floats(-200, 200)] * 3),
        std=st.tuples(*[st.floats(0.01, 100)] * 3),
        channels=st.sampled_from(["RGB", "BGR"]),
        shape=st.sampled_from([(1, 4, 6, 3), (1, 3, 4, 6)]),
    )
    def test_float_inputs_get_pixel_times_scale_minus_mean_over_std(
        self, colour, scale, mean, std, channels, shape
    ) -> None:
        made = feed(Tensor("photo", shape, "float32"), scale=scale, mean=mean, std=std, channels=channels)
        seen = colour if channels == "RGB" else colour[::-1]
        expected = [(v * scale - m) / s for v, m, s in zip(seen, mean, std, strict=True)]
        assert one_pixel(made, *colour) == pytest.approx(expected, rel=1e-5, abs=1e-4)

    def test_half_and_double_precision(self) -> None:
        for dtype, tolerance in [("float16", 1e-3), ("float64", 1e-15)]:
            got = one_pixel(feed(replace(FLOAT, dtype=dtype)), 10, 20, 30)
            assert got == pytest.approx([10 / 255, 20 / 255, 30 / 255], rel=tolerance)

    @given(st.tuples(*[st.integers(0, 255)] * 3), st.sampled_from([None, (1 / 255, 0), (2 / 255, 128)]))
    def test_uint8_inputs_get_the_pixels_as_they_are(self, colour, quantisation) -> None:
        tensor = replace(FLOAT, dtype="uint8", quantisation=quantisation)
        assert one_pixel(feed(tensor), *colour) == list(colour)
        assert one_pixel(feed(tensor, channels="BGR"), *colour) == list(colour[::-1])

    @given(st.tuples(*[st.integers(0, 255)] * 3))
    def test_uint8_inputs_with_declared_units_are_quantised(self, colour) -> None:
        tensor = replace(FLOAT, dtype="uint8", quantisation=(0.02, 110))
        made = feed(tensor, scale=1 / 255, mean="0.485,0.456,0.406", std="0.229,0.224,0.225")
        real = (np.array(colour) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        assert (np.array(one_pixel(made, *colour)) - 110) * 0.02 == pytest.approx(real, abs=0.0101)

    @given(st.tuples(*[st.integers(0, 255)] * 3))
    def test_int8_inputs_are_quantised(self, colour) -> None:
        tensor = replace(FLOAT, dtype="int8", quantisation=(1 / 255, -128))
        assert one_pixel(feed(tensor), *colour) == [v - 128 for v in colour]
        signed = replace(FLOAT, dtype="int8", quantisation=(1 / 127.5, 0))
        expected = [min(round(v - 127.5), 127) for v in colour]
        assert one_pixel(feed(signed, mean=0.5, std=0.5), *colour) == pytest.approx(expected, abs=1)

    @pytest.mark.parametrize(
        ("dtype", "quantisation", "fields", "holds"),
        [
            ("int8", None, {}, "-128 to 127"),
            ("int8", (1.0, -128), {}, "0 to 255"),
            ("uint8", None, {"scale": 1 / 255}, "0 to 255"),
            ("uint8", (0.01, 0), {"mean": 100}, "0 to 2.55"),
        ],
    )
    def test_units_that_leave_few_grey_levels_are_refused(self, dtype, quantisation, fields, holds) -> None:
        with pytest.raises(BadModel, match=rf"scale, mean, std.* it holds {holds}$"):
            feed(replace(FLOAT, dtype=dtype, quantisation=quantisation), **fields)

    def test_the_resize_is_pillows(self) -> None:
        from PIL import Image

        photo = np.random.default_rng(0).integers(0, 256, (37, 23, 3), np.uint8)
        for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"):
            expected = Image.fromarray(photo).resize((6, 4), getattr(Image.Resampling, name.upper()))
            got = feed(replace(FLOAT, dtype="uint8"), resample=name).network_input(photo)
            assert (got[0] == np.asarray(expected)).all()

    def test_preprocessing_says_it_all_on_one_line(self) -> None:
        line = feed(mean="0.485,0.456,0.406", std="0.229,0.224,0.225", channels="BGR", resample="bicubic").preprocessing
        for part in (
            "4 x 6",
            "bicubic",
            "BGR",
            "NHWC",
            "float32",
            "1/255",
            "0.485, 0.456, 0.406",
            "0.229, 0.224, 0.225",
        ):
            assert part in line
        assert "\n" not in line
        assert "quantised" in feed(replace(FLOAT, dtype="int8", quantisation=(1 / 255, -128))).preprocessing


class TestOutput:
    def test_axes_of_length_one_are_dropped(self) -> None:
        values = np.arange(24, dtype=np.float32)
        for shape in [(1, 4, 6, 1), (1, 1, 4, 6), (4, 6), (1, 4, 6)]:
            assert (feed().depth_map(values.reshape(shape), "net").values == values.reshape(4, 6)).all()

    @pytest.mark.parametrize("shape", [(1, 4, 6, 2), (2, 4, 6), (24,), (1, 1, 1, 6)])
    def test_other_shapes_are_refused_by_name(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(BadModel) as error:
            feed().depth_map(np.zeros(shape, np.float32), "net")
        assert str(list(shape)) in str(error.value)
        assert "output map" in str(error.value)

    def test_words_and_truths_are_no_depths(self) -> None:
        for dtype in (bool, object, complex):
            with pytest.raises(BadModel, match="output map"):
                feed().depth_map(np.zeros((4, 6), dtype), "net")

    def test_integers_are_dequantised_then_scaled_and_shifted(self) -> None:
        stored = np.array([[0, 128], [255, 130]], np.uint8)
        output = replace(MAP, dtype="uint8", quantisation=(0.5, 128))
        assert feed(output=output).depth_map(stored, "net").values.tolist() == [[-64, 0], [63.5, 1]]
        made = feed(output=output, output_scale=-2, output_shift=1).depth_map(stored, "net")
        assert made.values.tolist() == [[129, 1], [-126, -1]]

    def test_integers_without_quantisation_stay(self) -> None:
        assert feed().depth_map(np.array([[7, 300]], np.int32).repeat(2, 0), "net").values[0].tolist() == [7, 300]

    def test_float_outputs_ignore_quantisation(self) -> None:
        output = replace(MAP, quantisation=(0.5, 128))
        assert feed(output=output).depth_map(np.ones((2, 2), np.float32), "net").values.tolist() == [[1, 1], [1, 1]]

    def test_nan_and_inf_stay(self) -> None:
        got = feed(output_scale=-1).depth_map(np.array([[np.nan, np.inf], [-np.inf, 1]], np.float32), "net").values
        assert np.array_equal(got, np.array([[np.nan, -np.inf], [np.inf, -1]], np.float32), equal_nan=True)

    def test_inverted_after_scale_and_shift(self) -> None:
        values = np.array([[0.5, 1, 2], [4, 0.25, 1e30]], np.float32)
        got = feed(output_inverse=True, output_scale=-2, output_shift=0.5).depth_map(-values, "net")
        expected = [[1 / 1.5, 1 / 2.5, 1 / 4.5], [1 / 8.5, 1 / 1, 1 / 2e30]]
        np.testing.assert_allclose(got.values, expected, rtol=1e-6)
        assert got.kind is DepthKind.AFFINE_DEPTH

    def test_integers_are_dequantised_before_they_are_inverted(self) -> None:
        output = replace(MAP, dtype="uint8", quantisation=(0.5, 128))
        stored = np.array([[129, 132], [255, 136]], np.uint8)
        got = feed(output=output, output_inverse=True).depth_map(stored, "net").values
        np.testing.assert_allclose(got, [[2, 0.5], [1 / 63.5, 0.25]], rtol=1e-6)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("bad", [0.0, -0.0, -1.0, -1e-30, np.nan, np.inf, -np.inf])
    def test_what_is_no_disparity_has_no_depth(self, bad: float) -> None:
        values = np.array([[bad, 2], [4, bad]], np.float32)
        got = feed(output_inverse=True).depth_map(values, "net").values
        assert np.array_equal(got, np.array([[np.nan, 0.5], [0.25, np.nan]], np.float32), equal_nan=True)

    @pytest.mark.filterwarnings("error")
    def test_a_disparity_too_small_to_be_inverted_has_no_finite_depth(self) -> None:
        got = feed(output_inverse=True).depth_map(np.array([[5e-324, 1], [1e-45, 1]]), "net").values
        assert not np.isfinite(got[:, 0]).any()
        assert (got[:, 1] == 1).all()

    @given(st.lists(st.floats(2.0**-60, 2.0**60, width=32), min_size=4, max_size=4), st.floats(0.01, 100))
    def test_inverting_turns_the_order(self, disparities: list[float], factor: float) -> None:
        values = np.array(disparities, np.float32).reshape(2, 2)
        got = feed(output_inverse=True, output_scale=factor).depth_map(values, "net").values
        nearer = values.ravel()[:, None] > values.ravel()
        assert not (nearer & (got.ravel()[:, None] > got.ravel())).any()
        np.testing.assert_allclose(got * values, 1 / factor, rtol=1e-6)

    def test_chosen_by_name_before_index(self) -> None:
        outputs = [replace(MAP, name="1"), replace(MAP, name="depth"), replace(MAP, name="other")]
        for chosen, index in [("0", 0), ("1", 0), ("2", 2), ("depth", 1), (2, 2)]:
            declared = NetworkOptions.model_validate({"kind": "affine_depth", "output": chosen})
            assert settle(declared, [FLOAT], outputs, "net").index == index

    @pytest.mark.parametrize("chosen", ["mpa", "1", "-1"])
    def test_unknown_output(self, chosen: str) -> None:
        declared = NetworkOptions(kind=DepthKind.AFFINE_DEPTH, output=chosen)
        with pytest.raises(BadModel, match=rf'no output "{chosen}".*Known: map'):
            settle(declared, [FLOAT], [MAP], "net")
