"""The commands as a user runs them: output, errors on one line, exit codes."""

import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

import da2k


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `da2k …` in an empty folder, with nothing but loopback to talk to."""
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words, **options):
        return subprocess.run(
            [sys.executable, "-m", "da2k", *map(str, words)], capture_output=True, text=True, cwd=tmp_path, **options
        )

    return call


def one_line_error(done, *needles):
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for needle in needles:
        assert needle in lines[0]


def test_evaluate_prints_the_table_and_writes_the_result(run, make_benchmark, tmp_path):
    root = make_benchmark(images=9)
    done = run("evaluate", "baseline:row", "--benchmark", root)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = da2k.read_result(tmp_path / "results/bench/baseline-row.json")
    assert "result: results/bench/baseline-row.json" in done.stdout
    for name, counts in result.scenarios.items():
        (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith(f"{name} ")]
        assert line.split()[1:7] == [
            str(getattr(counts, outcome)) for outcome in ("total", "correct", "wrong", "tied", "invalid", "missing")
        ]
        assert line.split()[7] == f"{100 * counts.accuracy:.2f}"
    assert result.counts.total == 27
    assert result.model.parameters == 0
    assert result.run.packages["numpy"] == np.__version__


def test_evaluate_as_json_is_the_result_file(run, make_benchmark, tmp_path):
    done = run("evaluate", "baseline:centre", "--benchmark", make_benchmark(), "--out", "r.json", "--json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "r.json").read_text())


def test_failed_images_are_shown_at_the_end_and_the_exit_code_is_one(run, make_benchmark, tmp_path):
    root = make_benchmark(images=4)
    bad = root / "images/outdoor/photo001.png"
    bad.write_bytes(b"")
    done = run("evaluate", "baseline:row", "--benchmark", root, "--out", "r.json")
    assert done.returncode == 1
    assert done.stderr == f"failed: images/outdoor/photo001.png: {bad}: not an image (the file is empty)\n"
    result = da2k.read_result(tmp_path / "r.json")
    assert (result.counts.invalid, result.counts.total) == (3, 12)


def test_mending_an_image_runs_only_that_image(run, make_benchmark, tmp_path):
    root = make_benchmark(images=4)
    bad = root / "images/outdoor/photo001.png"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-30])
    assert run("evaluate", "baseline:row", "--benchmark", root, "--out", "r.json").returncode == 1
    bad.write_bytes(whole)
    done = run("evaluate", "baseline:row", "--benchmark", root, "--out", "r.json")
    assert done.returncode == 0
    assert da2k.read_result(tmp_path / "r.json").run.images_resumed == 3
    assert {p.suffix for p in tmp_path.glob("r.*")} == {".json", ".parquet"}, "nothing is left to carry on with"


def as_cmyk(path):
    Image.open(path).convert("CMYK").save(path, "TIFF")


def as_sixteen_bits(path):
    grey = np.asarray(Image.open(path).convert("L"), np.uint16) * 257
    Image.fromarray(grey).save(path, "PNG")


def as_palette(path):
    Image.open(path).quantize(16).save(path, "PNG", transparency=3)


def turned_by_exif(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    # Stored a quarter turn to the left, so that following the tag shows it as it was.
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, "PNG", exif=exif)


@pytest.mark.parametrize("change", [as_cmyk, as_sixteen_bits, as_palette, turned_by_exif])
def test_unusual_photographs_work(run, make_benchmark, tmp_path, change):
    root = make_benchmark(images=2)
    before = run("evaluate", "baseline:row", "--benchmark", root, "--out", "before.json")
    change(root / "images/indoor/photo000.png")
    after = run("evaluate", "baseline:row", "--benchmark", root, "--out", "after.json")
    assert (before.returncode, after.returncode) == (0, 0), after.stderr
    one, two = (da2k.read_result(tmp_path / f"{name}.json") for name in ("before", "after"))
    assert one.rows.sha256 == two.rows.sha256


def claiming(side):
    def write(path):
        body = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + bytes(4))

    return write


BAD_PHOTOGRAPHS = {
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "truncated"),
    "truncated JPEG": (
        lambda path: (Image.open(path).save(path, "JPEG"), path.write_bytes(path.read_bytes()[:-200])),
        "truncated",
    ),
    "zero bytes": (lambda path: path.write_bytes(b""), "the file is empty"),
    "text": (lambda path: path.write_text("no picture at all"), "not an image"),
    "claims 30,000 x 30,000": (claiming(30_000), "pixels"),
    "claims 10,000 x 10,000": (claiming(10_000), "pixels"),
    "absent": (lambda path: path.unlink(), "No such file"),
}


@pytest.mark.parametrize("fault", BAD_PHOTOGRAPHS)
def test_a_bad_photograph_is_one_line_and_the_others_are_scored(run, make_benchmark, tmp_path, fault):
    root = make_benchmark(images=3)
    damage, reason = BAD_PHOTOGRAPHS[fault]
    path = root / "images/outdoor/photo001.png"
    damage(path)
    done = run("evaluate", "baseline:sharpness", "--benchmark", root, "--out", "r.json")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"failed: images/outdoor/photo001.png: {path}: ")
    assert reason in line
    result = da2k.read_result(tmp_path / "r.json")
    assert (result.counts.invalid, result.counts.total) == (3, 9)


def test_predict_then_evaluate_gives_exactly_the_counts(run, make_benchmark, tmp_path):
    root = make_benchmark(images=9, pairs=6)
    direct = run("evaluate", "baseline:sharpness", "--benchmark", root, "--out", "direct.json")
    assert direct.returncode == 0, direct.stderr
    assert run("predict", "baseline:sharpness", root, "--out", "maps").returncode == 0
    assert run("evaluate", "predictions:maps", "--benchmark", root, "--out", "stored.json").returncode == 0
    one, two = (da2k.read_result(tmp_path / f"{name}.json") for name in ("direct", "stored"))
    assert one.counts == two.counts
    assert one.rows.sha256 == two.rows.sha256
    assert two.model.name == "baseline:sharpness"


def test_compare_prints_the_paired_table(run, make_benchmark):
    root = make_benchmark(images=9)
    for cue in ("row", "centre"):
        run("evaluate", f"baseline:{cue}", "--benchmark", root, "--out", f"{cue}.json")
    done = run("compare", "row.json", "centre.json")
    assert done.returncode == 0
    assert "A = baseline:row" in done.stdout
    assert "not separable" in done.stdout
    tests = json.loads(run("compare", "row.json", "centre.json", "--json").stdout)
    assert tests[0]["scenario"] == "overall"
    overall = next(line for line in done.stdout.splitlines() if line.strip().startswith("overall"))
    assert overall.split()[1] == str(tests[0]["pairs"])


def test_a_function_in_a_file_is_a_model(run, make_benchmark, tmp_path):
    (tmp_path / "mine.py").write_text("def make(gain='1'):\n    return lambda pixels: pixels[..., 0] * float(gain)\n")
    root = make_benchmark()
    words = ("--benchmark", root, "--out", "r.json", "-o", "kind=affine_depth")
    assert run("evaluate", "python:mine:make", *words, "-o", "gain=2").returncode == 0
    assert da2k.read_result(tmp_path / "r.json").model.options == {"kind": "affine_depth", "gain": "2"}
    one_line_error(run("evaluate", "python:mine:none", *words), "mine has no function none")
    one_line_error(run("evaluate", "python:mine", *words), "python:<module>:<factory>")
    one_line_error(run("evaluate", "python:nowhere:make", *words), "nowhere cannot be imported")
    one_line_error(run("evaluate", "python:mine:make", *words, "-o", "size=3"), "make(size) failed: TypeError")


ERRORS = {
    "a typo in a model": (("depth-anything-v2-smal",), ('did you mean "depth-anything-v2-small"',)),
    "a typo in a prefix": (("baselin:row",), ('unknown model "baselin:row"', "baseline:")),
    "a typo in a cue": (("baseline:rows",), ('did you mean "row"',)),
    "an unknown option": (("baseline:row", "-o", "colour=red"), ('unknown option "colour"',)),
    "no predictions": (("predictions:none",), ("none: no such folder of predictions",)),
    "an unknown protocol": (("baseline:row", "--protocol", "da3k"), ('unknown protocol "da3k"; did you mean "da2k"',)),
    "an unreleased model": (("depth-anything-v2-giant",), ("was not released",)),
}


@pytest.mark.parametrize("fault", ERRORS)
def test_known_errors_are_one_line_and_nothing_is_written(run, make_benchmark, tmp_path, fault):
    words, needles = ERRORS[fault]
    root = make_benchmark()
    before = set(tmp_path.rglob("*"))
    one_line_error(run("evaluate", *words, "--benchmark", root, "--out", "r.json"), *needles)
    assert set(tmp_path.rglob("*")) == before


def broken(root, fault):
    path = root / "annotations.json"
    labels = json.loads(path.read_text())
    image = next(iter(labels))
    first = labels[image][0]
    if fault == "a wrong field":
        first["nearer"] = first.pop("closer_point")
    elif fault == "a point outside":
        first["point1"] = [999, 0]
    elif fault == "(x, y)":
        first["point1"] = [50, 3]
    elif fault == "equal points":
        first["point1"] = first["point2"]
    text = json.dumps(labels)
    if fault == "a key twice":
        text = text[:-1] + f', "{image}": []}}'
    path.write_text(text)
    return image


@pytest.mark.parametrize("name", ["net.tflite", "net.onnx", "net.pth"])
def test_a_bare_file_name_is_shown_with_its_prefix(run, make_benchmark, name):
    done = run("evaluate", name, "--benchmark", make_benchmark())
    one_line_error(done, f'did you mean "{"hf" if name.endswith("pth") else name.split(".")[1]}:{name}"?')


def test_an_option_given_twice_is_wrong_usage(run, make_benchmark):
    done = run("evaluate", "baseline:row", "--benchmark", make_benchmark(), "-o", "kind=a", "-o", "kind=b")
    assert done.returncode == 2
    assert '"kind" is given twice' in done.stderr


def test_batch_sizes_are_numbers_or_auto(run, make_benchmark):
    root = make_benchmark()
    assert run("evaluate", "baseline:row", "--benchmark", root, "--batch-size", "auto").returncode == 0
    for wrong in ("0", "-3", "many"):
        assert run("evaluate", "baseline:row", "--benchmark", root, "--batch-size", wrong).returncode == 2


def test_equal_failures_are_told_once(run, make_benchmark, tmp_path):
    (tmp_path / "broken.py").write_text(
        "def make():\n    def fails(pixels):\n        raise ValueError('no')\n    return fails\n"
    )
    done = run("evaluate", "python:broken.py:make", "-o", "kind=affine_depth", "--benchmark", make_benchmark(images=9))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("and 8 more images: ValueError: no (broken.py, line 3)")


def test_figures_are_never_cut_on_a_narrow_terminal(run, make_benchmark, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    root = make_benchmark(images=8)
    for cue in ("row", "centre"):
        done = run("evaluate", f"baseline:{cue}", "--benchmark", root, "--out", f"{cue}.json")
        assert "transparent_reflective" in done.stdout
        assert "…" not in done.stdout
    assert "…" not in run("compare", "row.json", "centre.json").stdout


LABEL_ERRORS = {
    "a wrong field": 'unknown field "nearer"',
    "a point outside": "point1: (row 999",
    "(x, y)": "is it (x, y)?",
    "equal points": "both points are",
    "a key twice": "stands twice",
}


@pytest.mark.parametrize("fault", LABEL_ERRORS)
def test_broken_labels_are_one_line_naming_file_and_field(run, make_benchmark, tmp_path, fault):
    root = make_benchmark()
    image = broken(root, fault)
    before = set(tmp_path.rglob("*"))
    done = run("evaluate", "baseline:row", "--benchmark", root, "--out", "r.json")
    one_line_error(done, "annotations.json", image, LABEL_ERRORS[fault])
    assert set(tmp_path.rglob("*")) == before


def test_wrong_usage_exits_with_two(run, make_benchmark):
    assert run("evaluate").returncode == 2
    assert run("evalute").returncode == 2
    done = run("evaluate", "baseline:row", "--benchmark", make_benchmark(), "-o", "no-equals-sign")
    assert done.returncode == 2
    assert "key=value" in done.stderr


def test_unknown_scenarios_are_scored_and_reported(run, make_benchmark):
    root = make_benchmark(images=2)
    (root / "images/outdoor").rename(root / "images/endoscopy")
    labels = (root / "annotations.json").read_text().replace("images/outdoor", "images/endoscopy")
    (root / "annotations.json").write_text(labels)
    done = run("evaluate", "baseline:row", "--benchmark", root, "--out", "r.json")
    assert done.returncode == 0
    assert "warning: scenarios outside the paper's eight: endoscopy" in done.stderr
    assert "endoscopy" in done.stdout


def test_a_partial_copy_is_refused_and_can_be_allowed(run, make_benchmark, tmp_path):
    root = make_benchmark(images=3, name="DA-2K")
    one_line_error(run("evaluate", "baseline:row", "--benchmark", root), "not the whole of da2k", "--partial")
    done = run("evaluate", "baseline:row", "--benchmark", root, "--partial", "--out", "r.json")
    assert done.returncode == 0
    assert "partial copy" in done.stdout
    assert da2k.read_result(tmp_path / "r.json").benchmark.partial


def test_a_closed_pipe_is_no_traceback(run, make_benchmark):
    root = make_benchmark()
    line = f"{sys.executable} -m da2k evaluate baseline:row --benchmark {root} --out r.json | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=root.parent, env=os.environ)
    assert "Traceback" not in done.stderr


def test_a_progress_line_does_not_mix_with_results(run, make_benchmark):
    done = run("evaluate", "baseline:row", "--benchmark", make_benchmark(images=20), "--out", "r.json", "--json")
    assert json.loads(done.stdout)["counts"]["total"] == 60


def test_the_version_is_the_packages(run):
    assert run("--version").stdout == f"da2k {da2k.__version__}\n"


def test_models_are_listed_and_shown(run):
    listed = json.loads(run("models", "list", "--json").stdout)
    assert "depth-anything-v2-small" in listed
    text = run("models", "list").stdout
    assert all(name in text for name in listed)
    shown = run("models", "show", "depth-anything-v2-small")
    assert "affine_disparity" in shown.stdout
    assert json.loads(run("models", "show", "depth-anything-v2-small", "--json").stdout)["kind"] == "affine_disparity"
    one_line_error(run("models", "show", "depth-anything-v2-smal"), 'did you mean "depth-anything-v2-small"')
