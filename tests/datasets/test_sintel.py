"""Sintel: `.dpt` files say their size, and are believed only when they have it."""

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from da2k.datasets.open_frames import open_frames
from da2k.datasets.sintel import TAG, read_truth
from da2k.errors import BadInput
from tests.datasets.native_formats import make_samples, rules_for, write_dpt, write_sintel

RULES = rules_for("sintel-final")


@pytest.fixture
def frame(tmp_path):
    listed = write_sintel(tmp_path, make_samples(1, (5, 7)))
    return open_frames("sintel", RULES, tmp_path, own_list=listed).frames[0]


def test_the_tag_is_the_bytes_pieh():
    assert struct.pack("<f", TAG) == b"PIEH"


@pytest.mark.parametrize("folder", ["", "training", "MPI-Sintel-complete/training"])
def test_either_pass_is_read_with_the_same_depth(folder, tmp_path):
    root, samples = tmp_path / folder, make_samples(2)
    write_sintel(root, samples, render_pass="clean")
    listed = write_sintel(root, [s._replace(rgb=255 - s.rgb) for s in samples], render_pass="final")
    clean = open_frames("sintel", rules_for("sintel-clean"), tmp_path, own_list=listed).frames
    final = open_frames("sintel", rules_for("sintel-final"), tmp_path, own_list=listed).frames
    for a, b, sample in zip(clean, final, samples, strict=True):
        np.testing.assert_array_equal(a.read_truth().depth, b.read_truth().depth)
        np.testing.assert_array_equal(a.open_photo().pixels, sample.rgb)
        np.testing.assert_array_equal(b.open_photo().pixels, 255 - sample.rgb)
        assert (a.name.partition("/")[0], b.name.partition("/")[0]) == ("clean", "final")


def test_the_sky_is_given_as_it_is_for_the_range_to_leave_out(frame):
    depth = np.full((5, 7), 3, np.float32)
    depth[0] = 1e5
    depth[1, :3] = np.nan, np.inf, -1
    write_dpt(frame.files[1], depth)
    truth = frame.read_truth()
    np.testing.assert_array_equal(truth.depth, depth)
    assert truth.valid[0].all()
    np.testing.assert_array_equal(truth.valid[1], [False] * 3 + [True] * 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-4], "is truncated: 148 bytes, and 5 x 7 values make 152"),
        (lambda data: data[:-1], "is truncated"),
        (lambda data: data + b"\0", "is too long"),
        (lambda data: data[:11], "is truncated: 11 bytes, and the header alone has 12"),
        (lambda data: b"", "is truncated: 0 bytes"),
        (lambda data: b"PIEX" + data[4:], r"is no .dpt file: it begins with b'PIEX', not with the float32 202021.25"),
        (lambda data: struct.pack(">f", TAG) + data[4:], "is no .dpt file"),
        (lambda data: data[:4] + struct.pack("<ii", 0, 7) + data[12:], "claims 7 x 0 values"),
        (lambda data: data[:4] + struct.pack("<ii", -5, -7) + data[12:], "claims -7 x -5 values"),
        (lambda data: data[:4] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + data[12:], "claims 2147483647 x"),
        (lambda data: data[:4] + struct.pack("<ii", 5, 7) + data[12:], r"is 7 x 5, and its image .* 5 x 7"),
    ],
)
def test_a_broken_dpt_is_one_line(change, message, frame):
    frame.files[1].write_bytes(change(frame.files[1].read_bytes()))
    with pytest.raises(BadInput, match=message) as caught:
        frame.read_truth()
    assert str(frame.files[1]) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.integers(1, 5), st.integers(1, 5), st.binary(max_size=120))
def test_bytes_are_read_only_when_there_are_as_many_as_the_header_says(height, width, data):
    with TemporaryDirectory() as folder:
        image, truth = Path(folder) / "a.png", Path(folder) / "a.dpt"
        Image.new("RGB", (width, height)).save(image)
        truth.write_bytes(struct.pack("<fii", TAG, width, height) + data)
        if len(data) == 4 * height * width:
            assert read_truth(truth, image).depth.tobytes() == data
        else:
            with pytest.raises(BadInput, match=r"is truncated|is too long"):
                read_truth(truth, image)


def test_a_missing_file_is_bad_input(frame):
    frame.files[1].unlink()
    with pytest.raises(BadInput, match="No such file"):
        frame.read_truth()
