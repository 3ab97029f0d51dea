import pytest

from da2k.construction.stages import work_through
from da2k.errors import BadInput

PHOTOS = {f"images/indoor/{name}.png": (8, 9) for name in "abcd"}
A, B, C, D = PHOTOS


class Stage:
    """Writes the name of an image to `keypoints`, and keeps count."""

    def __init__(self, workspace):
        self.workspace, self.computed, self.errors = workspace, [], {}

    def __call__(self, keys, **options):
        def compute(todo):
            for image in todo:
                self.computed.append(image)
                yield image, self.errors.get(image) or f"{image} {keys[image]}"

        def write(image, rows):
            self.workspace.db.run("INSERT INTO keypoints VALUES (?, ?, ?)", image, rows.encode(), b"")

        def forget(image):
            self.workspace.db.run("DELETE FROM keypoints WHERE image = ?", image)

        self.computed = []
        return work_through(self.workspace, "stage", keys, compute, write, forget, **options)

    def rows(self):
        return {image: data.decode() for image, data in self.workspace.db.run("SELECT image, points FROM keypoints")}


@pytest.fixture
def stage(make_workspace):
    return Stage(make_workspace(PHOTOS))


def test_first_all_then_nothing_then_what_changed(stage):
    report = stage(dict.fromkeys(PHOTOS, "1"))
    assert (report.made, report.remade, report.kept) == (4, 0, 0)
    report = stage(dict.fromkeys(PHOTOS, "1"))
    assert (report.made, report.remade, report.kept, stage.computed) == (0, 0, 4, [])
    report = stage({A: "1", B: "2", C: "1"})
    assert (report.made, report.remade, report.kept, report.dropped) == (0, 1, 2, 1)
    assert stage.computed == [B]
    assert stage.rows() == {A: f"{A} 1", B: f"{B} 2", C: f"{C} 1"}


def test_nothing_to_do_does_not_call_compute(stage):
    stage(dict.fromkeys(PHOTOS, "1"))

    def explode(todo):
        raise AssertionError

    report = work_through(stage.workspace, "stage", dict.fromkeys(PHOTOS, "1"), explode, None, None)
    assert report.kept == 4


def test_a_failure_is_recorded_stops_nothing_and_is_tried_again_when_asked(stage):
    stage.errors[B] = BadInput("the file is damaged")
    report = stage(dict.fromkeys(PHOTOS, "1"))
    assert report.failures == {B: "the file is damaged"}
    assert set(stage.rows()) == {A, C, D}
    report = stage(dict.fromkeys(PHOTOS, "1"))
    assert (report.failures, stage.computed) == ({B: "the file is damaged"}, [])
    stage.errors.clear()
    report = stage(dict.fromkeys(PHOTOS, "1"), retry=True)
    assert (report.failures, stage.computed) == ({}, [B])
    assert set(stage.rows()) == set(PHOTOS)


def test_what_fails_now_leaves_nothing_of_what_was_made_before(stage):
    stage(dict.fromkeys(PHOTOS, "1"))
    stage.errors[B] = MemoryError("no more")
    report = stage(dict.fromkeys(PHOTOS, "2"))
    assert "out of memory with this image alone" in report.failures[B]
    assert set(stage.rows()) == {A, C, D}


def test_a_changed_photograph_is_left_as_it_was_and_told(stage):
    stage(dict.fromkeys(PHOTOS, "1"))
    (stage.workspace.folder / B).write_bytes(b"another")
    report = stage(dict.fromkeys(PHOTOS, "2"))
    assert list(report.failures) == [B]
    assert stage.rows()[B] == f"{B} 1"
    assert stage.computed == [A, C, D]
    assert stage(dict.fromkeys(PHOTOS, "2")).failures.keys() == {B}


def test_an_interrupted_stage_keeps_what_was_done(stage):
    def compute(todo):
        yield todo[0], "done"
        raise KeyboardInterrupt

    def write(image, rows):
        stage.workspace.db.run("INSERT INTO keypoints VALUES (?, ?, ?)", image, rows.encode(), b"")

    keys = dict.fromkeys(PHOTOS, "1")
    with pytest.raises(KeyboardInterrupt):
        work_through(stage.workspace, "stage", keys, compute, write, lambda image: None)
    report = stage(keys)
    assert (report.made, report.kept) == (3, 1)
    assert stage.computed == [B, C, D]


def test_progress_begins_at_zero_and_ends_at_all(stage):
    seen = []
    stage(dict.fromkeys(PHOTOS, "1"), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 4) for done in range(5)]


def test_failed_images_are_counted_apart(stage):
    stage.errors[B] = BadInput("the file is damaged")
    report = stage(dict.fromkeys(PHOTOS, "1"))
    assert (report.made, report.remade, report.kept, len(report.failures)) == (3, 0, 0, 1)
    report = stage(dict.fromkeys(PHOTOS, "1"))
    assert (report.made, report.remade, report.kept, len(report.failures)) == (0, 0, 3, 1)
    stage.errors.clear()
    report = stage(dict.fromkeys(PHOTOS, "1"), retry=True)
    assert (report.made, report.remade, report.kept, len(report.failures)) == (1, 0, 3, 0)
