"""Scoring: the laws that hold for every model, and the ones that expose a wrong scorer."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import da2k
from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput, BadModel, MissingPrediction

OUTCOMES = ("correct", "wrong", "tied", "invalid", "missing")


def adds_up(result):
    parts = [result.counts, *result.scenarios.values()]
    assert all(c.total == sum(getattr(c, outcome) for outcome in OUTCOMES) for c in parts)
    assert result.counts.total == result.benchmark.pairs
    assert result.accuracy.micro == result.counts.correct / result.counts.total


def test_a_constant_map_is_right_nowhere_and_tied_everywhere(make_benchmark):
    score = da2k.evaluate(lambda pixels: np.ones(pixels.shape[:2]), make_benchmark(), kind="affine_disparity")
    assert (score.counts.correct, score.counts.tied) == (0, score.counts.total)
    assert any("tied" in warning for warning in score.result.warnings)


def test_an_inverted_model_gets_total_minus_correct_minus_tied(make_benchmark, noise):
    root = make_benchmark(images=12, pairs=5)
    straight, inverted = da2k.evaluate(noise(), root).counts, da2k.evaluate(noise(sign=-1.0), root).counts
    assert straight.tied > 0
    assert inverted.correct == straight.total - straight.correct - straight.tied
    as_depth = da2k.evaluate(noise(kind=DepthKind.AFFINE_DEPTH), root).counts
    assert as_depth == inverted, "the same numbers read as depth order the other way round"


def test_exchanging_the_points_everywhere_changes_nothing(make_benchmark, noise, tmp_path):
    root = make_benchmark(images=8)
    other = tmp_path / "swapped"
    other.mkdir()
    (other / "images").symlink_to(root / "images")
    content = json.loads((root / "annotations.json").read_text())
    exchanged = {"point1": "point2", "point2": "point1"}
    swapped = {
        image: [
            {"point1": p["point2"], "point2": p["point1"], "closer_point": exchanged[p["closer_point"]]} for p in pairs
        ]
        for image, pairs in content.items()
    }
    (other / "annotations.json").write_text(json.dumps(swapped))
    one, two = da2k.evaluate(noise(), root), da2k.evaluate(noise(), other)
    assert one.counts == two.counts
    assert one.result.benchmark.digest == two.result.benchmark.digest
    assert one.rows.equals(two.rows)


def test_a_mix_up_of_row_and_column_is_caught_on_a_ramp_that_is_not_square(tmp_path, make_benchmark):
    root = make_benchmark(images=1)
    image = next(iter(json.loads((root / "annotations.json").read_text())))
    # Nearer is lower. By rows the first point is closer, by columns the second.
    pair = {"point1": [15, 3], "point2": [4, 40], "closer_point": "point1"}
    (root / "annotations.json").write_text(json.dumps({image: [pair]}))
    rows = da2k.evaluate(lambda p: np.mgrid[: p.shape[0], : p.shape[1]][0], root, kind="affine_disparity")
    columns = da2k.evaluate(lambda p: np.mgrid[: p.shape[0], : p.shape[1]][1], root, kind="affine_disparity")
    assert (rows.counts.correct, columns.counts.correct) == (1, 0)
    transposed = da2k.evaluate(lambda p: np.mgrid[: p.shape[0], : p.shape[1]][0].T, root, kind="affine_disparity")
    assert transposed.counts.invalid == 1
    assert "another aspect ratio" in transposed.result.failures[0].reason


def fails(how, photo):
    """A model's answer of one kind of failure, or none."""
    shape = photo.size
    if how == "exception":
        raise RuntimeError("the network\nbroke")
    if how == "memory":
        raise MemoryError
    if how == "missing":
        raise MissingPrediction("no map")
    filled = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "constant": 3.0}
    answers = {
        "wrong shape": np.zeros((3, 500)),
        "three axes": np.zeros((*shape, 2)),
        "no map": None,
        "text": np.full(shape, "x"),
        "good": np.random.default_rng(0).random(shape),
    }
    return np.full(shape, filled[how]) if how in filled else answers[how]


FAULTS = (
    "exception",
    "memory",
    "missing",
    "nan",
    "inf",
    "-inf",
    "constant",
    "wrong shape",
    "three axes",
    "no map",
    "text",
    "good",
    "unreadable image",
    "absent image",
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(FAULTS), min_size=8, max_size=8), st.integers(1, 4))
def test_the_denominator_holds_for_any_mix_of_failures(make_benchmark, faults, batch_size):
    root = make_benchmark(images=8, pairs=2)
    names = list(json.loads((root / "annotations.json").read_text()))
    by_name = dict(zip(names, faults, strict=True))
    for name, fault in by_name.items():
        if fault == "unreadable image":
            (root / name).write_bytes((root / name).read_bytes()[:-60])
        if fault == "absent image":
            (root / name).unlink()

    class Model:
        def predict(self, images):
            return [fails(by_name[photo.name], photo) for photo in images]

    result = da2k.evaluate(Model(), root, kind="affine_disparity", batch_size=batch_size).result
    adds_up(result)
    assert result.counts.total == 16
    assert result.counts.missing == 2 * faults.count("missing")
    assert result.counts.tied == 2 * faults.count("constant")
    assert result.counts.correct + result.counts.wrong == 2 * faults.count("good")
    failed = {name for name, fault in by_name.items() if fault not in ("good", "constant")}
    assert {failure.image for failure in result.failures} == failed
    assert all("\n" not in failure.reason for failure in result.failures)


def test_a_map_that_is_partly_nan_loses_only_those_pairs(make_benchmark):
    root = make_benchmark(images=1)
    image = next(iter(json.loads((root / "annotations.json").read_text())))
    pairs = [
        {"point1": [1, 1], "point2": [2, 2], "closer_point": "point1"},
        {"point1": [9, 9], "point2": [1, 2], "closer_point": "point1"},
    ]
    (root / "annotations.json").write_text(json.dumps({image: pairs}))

    def model(pixels):
        values = np.mgrid[: pixels.shape[0], : pixels.shape[1]][0].astype(float)
        values[1, 1] = np.nan
        return values

    result = da2k.evaluate(model, root, kind="affine_disparity").result
    assert (result.counts.correct, result.counts.invalid) == (1, 1)
    assert result.failures[0].reason == "the map is not finite at 1 of 2 pairs"


def test_batches_give_what_single_images_give(make_benchmark, noise):
    root = make_benchmark(images=7)
    single = da2k.evaluate(noise(), root)
    for batch_size in (2, 3, 16):
        assert da2k.evaluate(noise(), root, batch_size=batch_size).rows.equals(single.rows)


def test_one_bad_image_in_a_batch_costs_only_itself(make_benchmark, noise):
    model = noise()
    root = make_benchmark(images=4)
    bad = list(json.loads((root / "annotations.json").read_text()))[2]
    batches = []

    class Crashes:
        def predict(self, images):
            batches.append(len(images))
            if any(photo.name == bad for photo in images):
                raise RuntimeError("no such operator")
            return model.predict(images)

    result = da2k.evaluate(Crashes(), root, batch_size=4).result
    assert [failure.image for failure in result.failures] == [bad]
    assert batches == [4, 1, 1, 1, 1]


class Memory:
    """A model that has memory for so many images at once, and for none that is in `too_large`."""

    def __init__(self, model, room, too_large=()):
        self.model, self.room, self.too_large, self.batches = model, room, too_large, []

    def predict(self, images):
        self.batches.append(len(images))
        if len(images) > self.room or any(photo.name in self.too_large for photo in images):
            raise MemoryError("cannot allocate")
        return self.model.predict(images)


@pytest.mark.parametrize("batch_size", [8, "auto"])
def test_out_of_memory_halves_the_batch_goes_on_and_says_so(make_benchmark, noise, batch_size):
    root = make_benchmark(images=20)
    model = Memory(noise(), room=3)
    result = da2k.evaluate(model, root, batch_size=batch_size)
    assert result.rows.equals(da2k.evaluate(noise(), root).rows)
    assert result.counts.invalid == 0
    (warning,) = [w for w in result.result.warnings if "out of memory" in w]
    assert "went on with 2" in warning
    settled = model.batches.index(2)
    assert set(model.batches[settled:]) == {2}, "once two fit, more are not tried again"


def test_an_image_that_is_too_large_alone_fails_alone_and_says_what_to_do(make_benchmark, noise):
    root = make_benchmark(images=6)
    bad = list(json.loads((root / "annotations.json").read_text()))[3]
    result = da2k.evaluate(Memory(noise(), room=9, too_large=(bad,)), root, batch_size=4).result
    (failure,) = result.failures
    assert failure.image == bad
    assert failure.reason.startswith("out of memory with this image alone")


def test_a_model_that_returns_too_few_maps_is_not_shifted(make_benchmark, noise):
    class Lossy:
        def predict(self, images):
            return noise().predict(images)[1:]

    result = da2k.evaluate(Lossy(), make_benchmark(images=4), batch_size=2).result
    assert result.counts.invalid == result.counts.total
    assert "0 maps for 1 images" in result.failures[0].reason


def test_objects_functions_tensors_and_depth_maps_are_models(make_benchmark):
    torch = pytest.importorskip("torch")
    root = make_benchmark()

    def ramp(pixels):
        return np.mgrid[: pixels.shape[0], : pixels.shape[1]][0]

    class Typed:
        def predict(self, images):
            return [DepthMap(ramp(np.asarray(photo)), DepthKind.AFFINE_DISPARITY) for photo in images]

    net = torch.nn.Conv2d(3, 1, 1)
    expected = da2k.evaluate(ramp, root, kind="affine_disparity").counts
    assert da2k.evaluate(Typed(), root).counts == expected
    assert (
        da2k.evaluate(lambda p: torch.from_numpy(ramp(p))[None, None], root, kind="affine_disparity").counts == expected
    )

    def tensor(pixels):
        return net(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float())

    assert da2k.evaluate(tensor, root, kind="affine_depth").counts.invalid == 0


def test_the_kind_is_never_guessed(make_benchmark):
    root = make_benchmark()
    with pytest.raises(BadModel, match="give kind="):
        da2k.evaluate(lambda pixels: pixels[..., 0], root)
    with pytest.raises(BadInput, match=r'kind "depth" is unknown; .*metric_depth'):
        da2k.evaluate(lambda pixels: pixels[..., 0], root, kind="depth")
    with pytest.raises(BadModel, match="is not a function"):
        da2k.evaluate(object(), root)


def test_a_reversed_direction_is_doubted_aloud(make_benchmark):
    root = make_benchmark(images=8, pairs=6)
    labels = {p.image: [] for p in da2k.open_benchmark(root).pairs}
    for pair in da2k.open_benchmark(root).pairs:
        labels[pair.image].append(pair)

    class Wrong:
        def predict(self, images):
            maps = []
            for photo in images:
                values = np.zeros(photo.size)
                for pair in labels[photo.name]:
                    values[pair.farther_point] = 1
                maps.append(DepthMap(values, DepthKind.AFFINE_DISPARITY))
            return maps

    assert any("direction may be reversed" in warning for warning in da2k.evaluate(Wrong(), root).result.warnings)


def test_keyboard_interrupts_are_not_swallowed(make_benchmark):
    def stop(pixels):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        da2k.evaluate(stop, make_benchmark(), kind="affine_depth")


def test_a_saved_result_reads_back_and_names_its_rows(make_benchmark, noise, tmp_path):
    score = da2k.evaluate(noise(), make_benchmark(), out=tmp_path / "r" / "noise.json")
    again = da2k.read_result(tmp_path / "r" / "noise.json")
    assert again == score.result
    assert {p.name for p in (tmp_path / "r").iterdir()} == {"noise.json", again.rows.file}
    from da2k.evaluation.rows import COLUMNS, read_rows

    rows = read_rows(again, tmp_path / "r" / "noise.json")
    assert list(rows.columns) == list(COLUMNS)
    assert (rows["outcome"] == "correct").sum() == again.counts.correct


def test_the_same_run_twice_gives_the_same_rows_byte_for_byte(make_benchmark, noise, tmp_path):
    root = make_benchmark()
    first = da2k.evaluate(noise(), root, out=tmp_path / "a.json").result
    second = da2k.evaluate(noise(), root, out=tmp_path / "b.json").result
    assert first.rows.sha256 == second.rows.sha256
    assert first.model_dump(exclude={"run", "rows"}) == second.model_dump(exclude={"run", "rows"})


def test_a_newer_result_replaces_the_older_and_its_rows(make_benchmark, noise, tmp_path):
    root, out = make_benchmark(), tmp_path / "a.json"
    old = da2k.evaluate(noise(), root, out=out).result
    bystander = tmp_path / "a.of-somebody.parquet"
    bystander.write_bytes(b"")
    new = da2k.evaluate(noise(sign=-1.0), root, out=out).result
    assert old.rows.file != new.rows.file
    assert {p.name for p in tmp_path.glob("a.*")} == {"a.json", new.rows.file, bystander.name}


def test_a_result_of_something_else_is_not_replaced_without_being_told(make_benchmark, tmp_path):
    root, other, out = make_benchmark(), make_benchmark(name="other", seed=5), tmp_path / "r.json"
    da2k.evaluate("baseline:row", root, out=out)
    da2k.evaluate("baseline:row", root, out=out)
    before = out.read_bytes()
    with pytest.raises(BadInput, match=r"r\.json: holds the result of baseline:row, and this is baseline:centre"):
        da2k.evaluate("baseline:centre", root, out=out)
    with pytest.raises(BadInput, match="other labels"):
        da2k.evaluate("baseline:row", other, out=out)
    assert out.read_bytes() == before
    assert da2k.evaluate("baseline:centre", root, out=out, replace=True).result.model.name == "baseline:centre"


def test_what_is_no_result_is_never_replaced(make_benchmark, tmp_path):
    (tmp_path / "thesis.json").write_text("{}")
    for place, message in (("thesis.json", "is no result"), ("", "is no regular file")):
        with pytest.raises(BadInput, match=message):
            da2k.evaluate("baseline:row", make_benchmark(), out=tmp_path / place)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is no regular file"):
        da2k.evaluate("baseline:row", make_benchmark(), out=tmp_path / "pipe")
    assert (tmp_path / "thesis.json").read_text() == "{}"


def test_arguments_that_cannot_apply_are_refused(make_benchmark):
    root = make_benchmark()
    with pytest.raises(BadInput, match="kind= is for Python models"):
        da2k.evaluate("baseline:row", root, kind="metric_depth")
    with pytest.raises(BadInput, match="model_options= is for model strings"):
        da2k.evaluate(lambda p: p[..., 0], root, kind="affine_depth", model_options={"a": "b"})
    with pytest.raises(BadInput, match="batch_size=0"):
        da2k.evaluate("baseline:row", root, batch_size=0)
    with pytest.raises(BadModel, match='aspect "square"'):
        da2k.evaluate(lambda p: p[..., 0], root, kind="affine_depth", aspect="square")


def test_a_crash_in_a_model_names_its_file_and_line(make_benchmark):
    def crashes(pixels):
        return 1 // 0

    (failure, *_) = da2k.evaluate(crashes, make_benchmark(), kind="affine_depth").result.failures
    line = crashes.__code__.co_firstlineno + 1
    assert failure.reason == f"ZeroDivisionError: integer division or modulo by zero (test_evaluate.py, line {line})"


def test_an_evaluation_prints_its_figures(make_benchmark):
    score = da2k.evaluate("baseline:row", make_benchmark())
    assert f"accuracy={score.accuracy:.4f}" in repr(score)
    assert f"correct={score.counts.correct}" in repr(score)
    assert sum(s.total for s in score.scenarios.values()) == score.counts.total


def test_labels_that_contradict_each_other_are_named(make_benchmark):
    root = make_benchmark(images=1)
    (image, pairs), *_ = json.loads((root / "annotations.json").read_text()).items()
    opposite = {"point1": "point2", "point2": "point1"}[pairs[0]["closer_point"]]
    (root / "annotations.json").write_text(json.dumps({image: [*pairs, {**pairs[0], "closer_point": opposite}]}))
    warnings = da2k.evaluate("baseline:row", root).result.warnings
    assert any("1 pairs state the opposite" in warning and image in warning for warning in warnings)


def test_results_side_by_side_keep_their_own_rows(make_benchmark, tmp_path):
    root = make_benchmark()
    for name in ("a.json", "a.txt", "a.b.json", "a[1].json"):
        da2k.evaluate("baseline:row", root, out=tmp_path / name)
        da2k.evaluate("baseline:centre", root, out=tmp_path / name, replace=True)
    for name in ("a.json", "a.txt", "a.b.json", "a[1].json"):
        assert (tmp_path / da2k.read_result(tmp_path / name).rows.file).is_file()
    assert len(list(tmp_path.glob("*.parquet"))) == 4


def test_a_model_that_changes_its_images_in_place_gets_the_same_in_batches(make_benchmark):
    root = make_benchmark(images=6, pairs=8)
    bad = list(json.loads((root / "annotations.json").read_text()))[4]

    class InPlace:
        def predict(self, images):
            for photo in images:
                np.asarray(photo)[...] = 255 - photo.pixels
            if any(photo.name == bad for photo in images):
                raise RuntimeError("no")
            return [DepthMap(photo.pixels[..., 0], DepthKind.AFFINE_DEPTH) for photo in images]

    single = da2k.evaluate(InPlace(), root)
    assert da2k.evaluate(InPlace(), root, batch_size=3).rows.equals(single.rows)


def test_an_object_that_may_have_learned_is_not_carried_on(make_benchmark, tmp_path):
    root, out = make_benchmark(images=5), tmp_path / "r.json"
    record = da2k.load_model("baseline:row").record

    class Trained:
        def __init__(self, sign, until):
            self.record, self.sign, self.until, self.calls = record, sign, until, 0

        def predict(self, images):
            self.calls += len(images)
            if self.calls > self.until:
                raise KeyboardInterrupt
            return [DepthMap(self.sign * photo.pixels[..., 0].astype(float), self.record.kind) for photo in images]

    with pytest.raises(KeyboardInterrupt):
        da2k.evaluate(Trained(1, until=2), root, out=out)
    later = Trained(-1, until=99)
    da2k.evaluate(later, root, out=out)
    assert later.calls == 5
