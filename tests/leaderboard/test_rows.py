"""A row's file: whatever a page would show of it is bounded, can be seen, and is named where it is not."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from da2k.errors import BadInput
from da2k.leaderboard.board import read_row
from da2k.leaderboard.rows import MOST_LISTED, Row
from da2k.leaderboard.text import unseen
from tests.leaderboard.boards import write_row

TURNED = "good\u202edoog"
TEXTS = {
    "benchmark.name": 120,
    "benchmark.revision": 500,
    "protocol.name": 120,
    "model.name": 120,
    "model.spec": 1000,
    "model.revision": 500,
    "model.preprocessing": 500,
    "model.options.size": 1000,
    "run.da2k_version": 120,
    "run.commit": 120,
    "run.python": 120,
    "run.device": 120,
    "run.dtype": 120,
    "run.packages.numpy": 120,
    "failures.0.image": 1000,
    "failures.0.reason": 1000,
    "warnings.0": 1000,
    "rows.file": 500,
}
"""Every free text of a result but `run.started`, and its longest."""
KEYS = ("model.options", "run.packages", "scenarios")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The content of a row in which every text is there."""
    placed = write_row(tmp_path_factory.mktemp("board"), "net", "cwci", model={"revision": "r", "preprocessing": "p"})
    content = json.loads(placed.path.read_text())
    result = content["result"]
    result["model"]["options"], result["run"]["packages"] = {"size": "518"}, {"numpy": "2.0"}
    result["run"]["commit"] = "abc"
    result["failures"], result["warnings"] = [{"image": "a.png", "reason": "is damaged"}], ["few pairs"]
    Row.model_validate_json(json.dumps(content))
    return content


def put(content, field, value):
    """A copy with the value at a dotted field of the result."""
    copy = json.loads(json.dumps(content))
    place = copy["result"]
    *above, last = field.split(".")
    for part in above:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[int(last) if isinstance(place, list) else last] = value
    return copy


def refusal(content):
    """Why it is no row; "" if it is one."""
    try:
        Row.model_validate_json(json.dumps(content))
    except ValidationError as e:
        return "; ".join(each["msg"] for each in e.errors())
    return ""


def text_fields(content, above=()):
    """Every text in a result, with its field."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(value, str):
            yield ".".join(map(str, (*above, key)))
        elif isinstance(value, dict | list):
            yield from text_fields(value, (*above, key))


def test_the_table_of_texts_leaves_out_none(sound):
    bounded_by_pattern = {"benchmark.digest", "protocol.digest", "rows.sha256", "model.kind", "model.aspect"}
    bounded_by_pattern |= {"accuracy.method", "run.started"}
    assert set(text_fields(sound["result"])) == TEXTS.keys() | bounded_by_pattern


@pytest.mark.parametrize("field", TEXTS)
def test_a_text_has_no_hidden_character_and_is_not_too_long(sound, field):
    longest, ending = TEXTS[field], ".parquet" if field == "rows.file" else ""
    assert not refusal(put(sound, field, "x" * (longest - len(ending)) + ending))
    assert f"result.{field}: has {longest + 1:,} characters; {longest:,} at most" in refusal(
        put(sound, field, "x" * (longest + 1 - len(ending)) + ending)
    )
    assert f"result.{field}: holds the character U+202E" in refusal(put(sound, field, TURNED + ending))
    assert f"result.{field}: holds the character U+000A" in refusal(put(sound, field, "a\nb" + ending))


@pytest.mark.parametrize("field", [field for field in TEXTS if field != "rows.file"])
def test_only_what_a_row_need_not_say_may_be_empty(sound, field):
    free = {"model.options.size", "run.da2k_version", "run.commit", "run.python", "run.device", "run.dtype"}
    assert refusal(put(sound, field, "")) == ("" if field in free else f"Value error, result.{field}: is empty")


@pytest.mark.parametrize("field", KEYS)
@pytest.mark.parametrize(
    ("key", "what"), [(TURNED, "U+202E"), ("k" * 121, "121 characters; 120 at most"), (" ", "empty")]
)
def test_keys_are_texts_too(sound, field, key, what):
    copy = json.loads(json.dumps(sound))
    place = copy["result"]
    for part in field.split("."):
        place = place[part]
    place[key] = place.pop(next(iter(place)))
    told = refusal(copy)
    assert f"result.{field}: " in told
    assert what in told
    assert not unseen(told), "the message itself can be seen"


@pytest.mark.parametrize(
    ("field", "value", "most"),
    [
        ("model.options", {f"k{n}": "v" for n in range(MOST_LISTED + 1)}, MOST_LISTED),
        ("run.packages", {f"k{n}": "1" for n in range(MOST_LISTED + 1)}, MOST_LISTED),
        ("warnings", ["w"] * (MOST_LISTED + 1), MOST_LISTED),
        ("failures", [{"image": "a.png", "reason": "b"}] * 2, 1),  # the benchmark has one image
    ],
)
def test_lists_are_bounded(sound, field, value, most):
    assert f"result.{field}: has {len(value):,} entries; {most:,} at most" in refusal(put(sound, field, value))
    fewer = dict(list(value.items())[:most]) if isinstance(value, dict) else value[:most]
    assert not refusal(put(sound, field, fewer))


@pytest.mark.parametrize(
    "started", ["", "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456-08:00"]
)
def test_started_is_a_date_time_or_says_nothing(sound, started):
    assert not refusal(put(sound, "run.started", started))


@pytest.mark.parametrize(
    "started",
    [
        "yesterday",
        "2026-01-02",
        "2026-13-02T03:04:05+00:00",
        "2026-01-02 03:04:05",
        " ",
        "2026-01-02T03:04:05+00:00\u202e",
        "2026-01-02T03:04:05." + 10_000 * "1",
        "<script>T",
        "T" * 10_000,
    ],
)
def test_another_start_is_refused(sound, started):
    told = refusal(put(sound, "run.started", started))
    assert "result.run.started: " in told
    assert "is no ISO 8601 date-time" in told
    assert not unseen(told)
    assert len(told) < 300


@given(st.datetimes(timezones=st.none() | st.timezones()))
def test_every_date_time_that_python_writes_is_taken(sound, moment):
    assert not refusal(put(sound, "run.started", moment.isoformat(timespec="seconds")))


def test_reading_a_row_names_file_and_field_on_one_line_that_can_be_seen(sound, tmp_path):
    path = tmp_path / "row.json"
    for content, what in (
        (put(sound, "run.device", TURNED), r"result\.run\.device: holds the character U\+202E"),
        (sound | {TURNED: 1}, r"good<U\+202E>doog: "),
        (sound | {"note": "a\nb"}, r"note: holds the character U\+000A"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(BadInput) as told:
            read_row(path)
        assert re.match(rf"{re.escape(str(path))}: .*{what}", str(told.value))
        assert not unseen(str(told.value))
