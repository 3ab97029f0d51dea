"""The loop over the frames: what stops it, what runs in which thread, and how much is held at once."""

import gc
import threading
import weakref
from dataclasses import replace
from functools import partial

import pytest

from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadModel
from da2k.evaluation.dense import evaluate_dense
from da2k.images import Photo
from da2k.results import ModelRecord
from tests.evaluation.dense_sets import SCALE_FREE, leaning, make_frames, maps_of, score

# What stops a run


class Stored:
    """Finished maps from memory, as a folder gives them; `fail` is raised in the place of the third."""

    device, dtype = "none", "stored"

    def __init__(self, frames, fail, where="predict"):
        self.record = ModelRecord(name="stored", spec="stored", kind=DepthKind(SCALE_FREE))
        self.maps = dict(zip((frame.name for frame in frames.open().frames), maps_of(frames), strict=True))
        self.bad, self.fail, self.where, self.asked = list(self.maps)[2], fail, where, []

    def prepare(self, photo, done=None):
        if self.where == "prepare" and photo.name == self.bad:
            raise self.fail
        return "0" * 64

    def predict(self, images):
        (photo,) = images
        self.asked.append((photo.name, threading.current_thread()))
        if self.where == "predict" and photo.name == self.bad:
            raise self.fail
        return [DepthMap(self.maps[photo.name], DepthKind(SCALE_FREE))]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(3), BadModel("its weights are gone")], ids=repr)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_model_that_cannot_go_on_stops_the_run(tmp_path, stop, workers, batch_size):
    """The images that it was not asked for are not charged to it, and no result is written."""
    frames = make_frames(tmp_path / "frames", count=12)
    asked = []

    def model(pixels):
        asked.append(pixels)
        if len(asked) == 3:
            raise stop
        return leaning(pixels)

    with pytest.raises(type(stop)) as caught:
        score(frames, model, workers=workers, batch_size=batch_size, out=tmp_path / "r.json")
    assert caught.value is stop
    assert len(asked) == 3
    assert not list(tmp_path.glob("r.*"))


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(3), BadModel("the folder is gone")], ids=repr)
@pytest.mark.parametrize("where", ["prepare", "predict"])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_stops_a_worker_that_reads_finished_maps_stops_the_run(tmp_path, stop, where, workers):
    frames = make_frames(tmp_path / "frames", count=12)
    model = Stored(frames, stop, where)
    with pytest.raises(type(stop)) as caught:
        score(frames, model, kind=None, workers=workers, out=tmp_path / "r.json")
    assert caught.value is stop
    # What was handed to the workers when it was noticed.
    assert len(model.asked) <= 3 + workers + 1
    assert not list(tmp_path.glob("r.*"))


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_what_stops_a_worker_that_reads_measured_depth_stops_the_run(tmp_path, stop):
    frames = make_frames(tmp_path / "frames", count=6)
    opened, asked = frames.open(), []

    def interrupted():
        raise stop

    changed = [*opened.frames]
    changed[1] = replace(changed[1], read_truth=interrupted)
    with pytest.raises(type(stop)):
        evaluate_dense(
            lambda pixels: asked.append(0) or leaning(pixels),
            replace(opened, frames=tuple(changed)),
            str(frames.protocol),
            kind=SCALE_FREE,
            workers=2,
            out=tmp_path / "r.json",
        )
    assert len(asked) <= 2 + 2 + 1
    assert not list(tmp_path.glob("r.*"))


@pytest.mark.parametrize("where", ["prepare", "predict"])
@pytest.mark.parametrize("workers", [1, 3])
def test_any_other_error_of_a_finished_map_is_charged_to_its_image_aloud(tmp_path, where, workers):
    frames = make_frames(tmp_path / "frames", count=6)
    model = Stored(frames, RuntimeError("the disk\nis gone"), where)
    result = score(frames, model, kind=None, workers=workers).result
    (failure,) = result.failures
    assert failure.image == model.bad
    assert failure.reason.startswith("RuntimeError: the disk is gone")
    assert (result.images.scored, result.images.failed) == (5, 1)


@pytest.mark.parametrize("answer", ["no map", "two maps", "an array"])
def test_finished_maps_that_are_none_are_charged_to_their_image(tmp_path, answer):
    frames = make_frames(tmp_path / "frames", count=4)
    model = Stored(frames, None, "nowhere")
    whole, bad = model.predict, model.bad

    def predict(images):
        found = whole(images)
        wrong = {"no map": [], "two maps": found * 2, "an array": [found[0].values]}[answer]
        return wrong if images[0].name == bad else found

    model.predict = predict
    (failure,) = score(frames, model, kind=None).result.failures
    assert failure.image == bad
    told = {"no map": "returned 0 maps for 1", "two maps": "returned 2 maps for 1", "an array": "returned ndarray, not"}
    assert told[answer] in failure.reason


def test_finished_maps_are_read_by_the_workers_and_networks_are_not(tmp_path):
    frames = make_frames(tmp_path / "frames", count=6)
    model = Stored(frames, None, "nowhere")
    done = score(frames, model, kind=None, workers=2)
    assert done.rows.equals(score(frames).rows)
    assert sorted(name for name, _ in model.asked) == sorted(model.maps)
    assert threading.main_thread() not in {thread for _, thread in model.asked}
    threads = set()
    score(frames, lambda pixels: threads.add(threading.current_thread()) or leaning(pixels), workers=2)
    assert threads == {threading.main_thread()}


def test_a_first_image_that_no_one_foresaw_costs_itself_only(tmp_path):
    """The size of the images, by which they are read ahead, is then that of the next."""
    frames = make_frames(tmp_path / "frames", count=4)
    opened = frames.open()

    def broken():
        raise OSError("the share is not mounted")

    changed = (replace(opened.frames[0], open_photo=broken), *opened.frames[1:])
    done = evaluate_dense(leaning, replace(opened, frames=changed), str(frames.protocol), kind=SCALE_FREE)
    (failure,) = done.result.failures
    assert failure.image == opened.frames[0].name
    assert "OSError: the share is not mounted" in failure.reason
    assert done.result.images.scored == 3


# Memory


class Weighed(Photo):
    """A photo that says when its file is read to be decoded; its pixels are few, whatever size it claims."""

    decoded: "weakref.WeakSet[Photo]"
    loads: "threading.Condition"
    count: list[int]

    def _bytes(self):
        data = super()._bytes()
        with self.loads:
            self.count[0] += 1
            self.decoded.add(self)
            self.loads.notify_all()
        return data


def held_at_once(frames, size, expected, batch_size):
    """How many images lay decoded at most while the model ran, and how many were decoded beyond its batches."""
    Weighed.decoded, Weighed.loads, Weighed.count = weakref.WeakSet(), threading.Condition(), [0]
    opened = frames.open()
    sources = [replace(frame, open_photo=partial(weigh, frame, size)) for frame in opened.frames]
    held, ahead, taken = [], [], [0]

    class Model:
        def predict(self, images):
            taken[0] += len(images)
            with Weighed.loads:  # until the expected ones are there, and then for one too many, which must not come
                Weighed.loads.wait_for(lambda: Weighed.count[0] >= min(len(sources), taken[0] + expected), timeout=10)
                Weighed.loads.wait_for(lambda: Weighed.count[0] > taken[0] + expected, timeout=0.1)
                ahead.append(Weighed.count[0] - taken[0])
            gc.collect()
            held.append(len(Weighed.decoded))
            return [DepthMap(leaning(photo.pixels), DepthKind(SCALE_FREE)) for photo in images]

    result = evaluate_dense(
        Model(), replace(opened, frames=tuple(sources)), str(frames.protocol), batch_size=batch_size
    ).result
    assert result.images.scored == len(sources)
    return max(held), max(ahead)


def weigh(frame, size):
    photo = frame.open_photo()
    return Weighed(photo.name, size, photo.path)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_few_large_images_are_decoded_ahead_of_the_model(tmp_path, batch_size):
    """By operation count: of ETH3D's size two lie ready beyond the batch that is being filled; of KITTI's four do."""
    frames = make_frames(tmp_path / "frames", count=10)
    large = 2 + batch_size - 1
    held, ahead = held_at_once(frames, (4032, 6048), large, batch_size)
    assert ahead == large
    # The batch, those ahead of it, and the last of the batch before, which the loop still names.
    assert held <= batch_size + ahead + 1
    held, ahead = held_at_once(frames, (375, 1242), 4, batch_size)
    assert ahead == 4
    assert held <= batch_size + 4 + 1
