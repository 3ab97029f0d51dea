"""Everything hostile that can be handed in, in one table: refused with its place named, or harmless.

Harmless means that it is text like any other: the row holds it as it is, and pages escape it.
"""

import json
import os
import pickle
import shutil
import stat
import struct
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from da2k.leaderboard.board import read_board
from da2k.leaderboard.submissions.add import add_submission
from da2k.leaderboard.submissions.problems import SHOWN
from da2k.leaderboard.submissions.rows_reader import read_apart
from da2k.leaderboard.text import unseen
from tests.leaderboard.submissions import check, declare, labels, pack, rewritten, told, write_maps, write_result

SCRIPT = "<script>alert(1)</script>"
QUOTE = '"onerror=alert(1) x="'
ADDRESS = "javascript:alert(1)"
TURNED = "good\u202edoog"
LONG = "x" * 10_000
HARMLESS = None


class Canary:
    def __reduce__(self):
        return os.system, ("touch pickle_ran",)


def field(name, value):
    """A folder whose declaration has this field."""
    return lambda root, place: write_maps(place / "maps", root, **{name: value})


def option(name, value):
    return lambda root, place: (write_maps(place / "maps", root), {name: value})


def in_result(name, value):
    return lambda root, place: rewritten(write_result(place, root), **{name: value})


def extra_file(name):
    def make(root, place):
        path = write_maps(place / "maps", root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        return place / "maps"

    return make


def instead_of_a_map(write, ending=".npy"):
    """A folder whose first map was replaced: `write(path)` makes it."""

    def make(root, place):
        maps = write_maps(place / "maps", root)
        path = (maps / next(iter(labels(root)))).with_suffix(".npy")
        path.unlink()
        write(path.with_suffix(ending))
        return maps

    return make


def zipped(*entries, mode=0, data=b"x", method=zipfile.ZIP_STORED, change=None):
    """A sound zip of predictions with these entries added, and its bytes changed."""

    def make(root, place):
        maps = write_maps(place / "maps", root)
        archive = pack(maps, place / "maps.zip")
        shutil.rmtree(maps)
        with zipfile.ZipFile(archive, "a") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # duplicate names
            for name in entries:
                info = zipfile.ZipInfo(name)
                info.compress_type, info.external_attr = method, mode << 16
                file.writestr(info, data)
        if change:
            archive.write_bytes(change(archive.read_bytes()))
        return archive

    return make


def encrypted(content):
    at = content.rindex(b"PK\x01\x02")
    return content[: at + 8] + bytes([content[at + 8] | 1]) + content[at + 9 :]


def claims(shape, dtype="<f4"):
    def write(path):
        with path.open("wb") as f:
            np.lib.format.write_array_header_1_0(f, {"descr": dtype, "fortran_order": False, "shape": shape})
            f.write(b"\0" * 64)

    return write


def compressed_zeros(path):
    np.savez_compressed(path, np.zeros((4096, 4096), np.float32))


def png_of(width, height):
    """A header alone, of a picture that would not fit into memory."""
    import zlib

    head = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    chunk = b"IHDR" + head
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return lambda path: path.write_bytes(data + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))


def nested():
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("inner.npy", b"x")
    return buffer.getvalue()


TABLE = {
    # Texts, field by field.
    "script in the name": (field("model", SCRIPT), HARMLESS),
    "quote in the name": (field("model", QUOTE), HARMLESS),
    "scheme in the name": (field("model", ADDRESS), HARMLESS),
    "formula in the name": (field("model", "=cmd|'/c calc'!A1"), HARMLESS),
    "template in the name": (field("model", "{{7*7}}{% raw %}"), HARMLESS),
    "path in the name": (field("model", "../../evil"), HARMLESS),
    "turned name": (field("model", TURNED), r"predictions.yaml: model: .*U\+202E"),
    "newline in the name": (field("model", "a\nb"), r"model: .*U\+000A"),
    "escape in the name": (field("model", "\x1b[2Ja"), r"U\+001B"),
    "blank name": (field("model", "   "), "model: .*is empty"),
    "long name": (field("model", LONG), "predictions.yaml: model: "),
    "script in the revision": (field("revision", SCRIPT), HARMLESS),
    "turned revision": (field("revision", TURNED), r"revision: .*U\+202E"),
    "long revision": (field("revision", LONG), "revision: .*at most 120"),
    "script in the licence": (field("licence", SCRIPT), HARMLESS),
    "turned licence": (field("licence", TURNED), r"licence: .*U\+202E"),
    "long licence": (field("licence", LONG), "licence: .*at most 120"),
    "script in preprocessing": (field("preprocessing", SCRIPT), HARMLESS),
    "turned preprocessing": (field("preprocessing", TURNED), r"preprocessing: .*U\+202E"),
    "long preprocessing": (field("preprocessing", LONG), "preprocessing: .*at most"),
    "scheme of an address": (field("url", ADDRESS), "url: .*must be a web address"),
    "scheme in capitals": (field("url", "JavaScript:alert(1)"), "url: .*must be a web address"),
    "data address": (field("url", "data:text/html,<script>"), "url: .*must be a web address"),
    "quote in an address": (field("url", f"https://example.org/{QUOTE}"), "url: .*percent-encoded"),
    "script in an address": (field("url", f"https://example.org/{SCRIPT}"), "url: .*percent-encoded"),
    "turned address": (field("url", f"https://example.org/{TURNED}"), "url: .*percent-encoded"),
    "long address": (field("url", f"https://example.org/{LONG}"), "url: .*at most 500"),
    "script in the note": (option("note", SCRIPT), HARMLESS),
    "quote in the note": (option("note", QUOTE), HARMLESS),
    "turned note": (option("note", TURNED), r"options: note: .*U\+202E"),
    "long note": (option("note", LONG), "options: note: .*at most 500"),
    "scheme of the option": (option("url", ADDRESS), "options: url: .*must be a web address"),
    "script in a result": (in_result("model__name", SCRIPT), HARMLESS),
    "script in a warning": (in_result("warnings", [SCRIPT]), HARMLESS),
    "script in an option": (in_result("model__options", {"a": SCRIPT}), HARMLESS),
    "turned name in a result": (in_result("model__name", TURNED), r"result.json: model.name: .*U\+202E"),
    "turned key in a result": (in_result("model__options", {TURNED: "a"}), r"model.options.good.*U\+202E"),
    "turned package": (in_result("run__packages", {"numpy": TURNED}), r"run.packages.numpy: .*U\+202E"),
    "long name in a result": (in_result("model__name", LONG), "model.name: .*at most 120"),
    "long warning": (in_result("warnings", [LONG]), "warnings.0: has 10,000 characters"),
    "script as a scenario": (in_result(f"scenarios__{SCRIPT}", {"total": 0}), "scenarios.<script>"),
    "file of rows in another folder": (in_result("rows__file", "/etc/passwd.parquet"), "rows.file: .*pattern"),
    # Names of files in a folder.
    "script in a file name": (extra_file("images/indoor/<script>.npy"), "<script>.npy: is the map of no image"),
    "quote in a file name": (extra_file('images/indoor/"onerror=.npy'), "is the map of no image"),
    "turned file name": (extra_file(f"images/indoor/{TURNED}.npy"), r"good<U\+202E>doog.npy: its name holds"),
    "newline in a file name": (extra_file("a\nb"), r"a<U\+000A>b: its name holds"),
    "file name that is no text": (extra_file(os.fsdecode(b"\xff.npy")), r"<U\+DCFF>.npy: its name holds"),
    "a program": (extra_file("run.sh"), "run.sh: does not belong"),
    # Zips.
    "parent": (zipped("../evil"), "leaves the folder"),
    "absolute": (zipped("/evil"), "is an absolute path"),
    "drive": (zipped("C:/evil"), "has a drive letter"),
    "backslash": (zipped("..\\evil"), "has a backslash"),
    "link": (zipped("images/l.npy", mode=stat.S_IFLNK | 0o777, data=b"/etc/passwd"), "is a link"),
    "device": (zipped("images/d.npy", mode=stat.S_IFCHR | 0o666), "is a device"),
    "pipe": (zipped("images/d.npy", mode=stat.S_IFIFO | 0o666), "is a device"),
    "case": (zipped("Predictions.YAML"), "only in case"),
    "twice": (zipped("predictions.yaml"), "stands twice"),
    "100,000 entries": (zipped(*(f"n/{n}" for n in range(100_000)), data=b""), "more than the 20,000 entries"),
    "1000:1": (zipped("a.npy", data=bytes(1 << 21), method=zipfile.ZIP_DEFLATED), "would grow more than 200 times"),
    "nested": (zipped("maps.zip", data=nested()), "maps.zip: is an archive in the archive"),
    "nested under another name": (zipped("images/x.npy", data=nested()), "is the map of no image"),
    "encrypted": (zipped("a.npy", change=encrypted), "is encrypted"),
    "not UTF-8": (zipped("caf?.npy", change=lambda c: c.replace(b"caf?", b"caf\xe9")), "its name is not UTF-8"),
    "says UTF-8 and is not": (
        zipped("ä.npy", change=lambda c: c.replace("ä".encode(), b"\xff\xfe")),
        "not a sound zip archive",
    ),
    "turned entry": (zipped(f"images/{TURNED}.npy"), r"good<U\+202E>doog.npy: its name holds"),
    "script as an entry": (zipped("images/<script>.npy"), "images/<script>.npy: is the map of no image"),
    "cut off": (zipped(change=lambda c: c[:-30]), "not a sound zip archive"),
    "no zip": (zipped(change=lambda c: b"PK\x03\x04" + b"x" * 99), "not a sound zip archive"),
    # Maps.
    "pickle": (instead_of_a_map(lambda p: np.save(p, np.array([Canary()]), allow_pickle=True)), "pickled Python"),
    "bare pickle": (instead_of_a_map(lambda p: p.write_bytes(pickle.dumps(Canary()))), "not a .npy array"),
    "10^6 x 10^6": (instead_of_a_map(claims((10**6, 10**6))), r"header claims shape \[1000000, 1000000\]"),
    "more than there is": (instead_of_a_map(claims((1000, 1000))), "bytes follow|but 64 follow"),
    "negative shape": (instead_of_a_map(claims((-1, 4))), "photo000.npy: "),
    "zeros that unfold": (instead_of_a_map(compressed_zeros, ".npz"), "would grow more than 200 times"),
    "huge picture": (instead_of_a_map(png_of(100_000, 9_000), ".png"), "photo000.png: .*(at most|exceeds limit)"),
    "large picture": (instead_of_a_map(png_of(9_000, 9_000), ".png"), "9000 x 9000; 67,108,864 values at most"),
    "sparse file": (instead_of_a_map(lambda p: (p.touch(), os.truncate(p, 1 << 30))), "at most are read"),
    "text": (instead_of_a_map(lambda p: p.write_text(SCRIPT)), "not a .npy array"),
    "link to a secret": (instead_of_a_map(lambda p: p.symlink_to("/etc/passwd")), "photo000.npy: is a link"),
    "pipe instead of a map": (instead_of_a_map(os.mkfifo), "photo000.npy: is a device"),
    "folder instead of a map": (instead_of_a_map(lambda p: p.mkdir()), "photo000.npy: missing"),
}


def hand_in(make, root, tmp_path):
    made = make(root, tmp_path)
    return made if isinstance(made, tuple) else (made, {})


@pytest.mark.parametrize("name", TABLE)
def test_refused_or_harmless(make_benchmark, tmp_path, monkeypatch, name):
    import re

    root = make_benchmark(images=4, pairs=2)
    make, refusal = TABLE[name]
    path, options = hand_in(make, root, tmp_path)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))

    checked = check(path, root, **options)

    assert set(tmp_path.rglob("*")) == before, "nothing is written beside the submission"
    lines = [str(problem) for problem in checked.problems]
    assert not [line for line in lines if unseen(line) or len(line) > 1500], "a terminal can print it"
    if refusal is HARMLESS:
        assert not lines
        add_submission(checked, tmp_path / "board")
        assert len(read_board(tmp_path / "board")) == 1
        return
    assert checked.row is None
    assert re.search(refusal, "\n".join(lines)), lines
    assert len(lines) <= SHOWN + 3
    assert not (tmp_path / "pickle_ran").exists()


def test_the_table_leaves_out_nothing_that_a_sound_zip_would_be_refused_for(make_benchmark, tmp_path):
    root = make_benchmark(images=4, pairs=2)
    assert not check(zipped()(root, tmp_path), root).problems


def test_a_billion_laughs(make_benchmark, tmp_path):
    root = make_benchmark(images=1, pairs=1)
    maps = write_maps(tmp_path / "maps", root)
    levels = ['a0: &a0 ["lol"]'] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (maps / "predictions.yaml").write_text("\n".join([*levels, "model: *a11", "kind: *a11"]))
    assert "YAML aliases" in told(check(maps, root))


def test_many_unknown_files_and_fields_are_counted(make_benchmark, tmp_path):
    root = make_benchmark(images=1, pairs=1)
    maps = write_maps(tmp_path / "maps", root)
    declare(maps, **{f"field{n}": n for n in range(100)})
    for n in range(100):
        (maps / f"file{n}.doc").write_text("x")
    text = told(check(maps, root))
    assert f"{100 - SHOWN} more fields that are wrong" in text
    assert f"{100 - SHOWN} more files that do not belong here" in text
    assert len(text.splitlines()) == 2 * (SHOWN + 1)


def test_rows_that_unfold_are_not_unfolded(make_benchmark, tmp_path):
    """A billion rows in a few kilobytes, and another compression than da2k writes."""
    import hashlib

    import pyarrow as pa
    import pyarrow.parquet as pq

    root = make_benchmark(images=2, pairs=2)
    result = write_result(tmp_path, root)
    path = result.with_name(json.loads(result.read_text())["rows"]["file"])
    table = pq.read_table(path)
    same = pa.table({n: pa.DictionaryArray.from_arrays(np.zeros(10**6, np.int8), ["x"]) for n in table.column_names})
    for changed, how, what in (
        (same, "snappy", "has 1,000,000 rows, and the benchmark 4 pairs"),
        (table, "zstd", "is compressed by ZSTD"),
    ):
        pq.write_table(changed, path, compression=how)
        rewritten(result, rows__sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        assert what in told(check(result, root))


@pytest.fixture
def handed_in(make_benchmark, tmp_path):
    root = make_benchmark(images=3, pairs=2)
    return root, write_result(tmp_path, root)


@pytest.fixture
def rows_read_once(handed_in, monkeypatch):
    """The rows are the same in every example, and reading them takes a process."""
    root, result = handed_in
    path = result.with_name(json.loads(result.read_text())["rows"]["file"])
    read = read_apart(path, sum(map(len, labels(root).values())))
    monkeypatch.setattr("da2k.leaderboard.submissions.pair_rows.read_apart", lambda *_: read)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def places(content, above=()):
    yield above
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from places(value, (*above, key))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_result_is_told_or_taken_never_a_crash(handed_in, rows_read_once, data):
    root, result = handed_in
    content = json.loads(result.read_text())
    *above, last = data.draw(st.sampled_from([place for place in places(content) if place]))
    changed = place = json.loads(result.read_text())
    for key in above:
        place = place[key]
    place[last] = data.draw(anything)
    (other := result.with_name("other.json")).write_text(json.dumps(changed))
    checked = check(other, root)
    assert (checked.row is None) is bool(checked.problems)
    if checked.row is not None:
        # What is neither recomputed nor identity may be as the submitter says; no number of the score may.
        assert checked.row.result.counts.model_dump() == content["counts"]
        assert checked.row.result.benchmark.digest == content["benchmark"]["digest"]
    assert not [line for line in map(str, checked.problems) if unseen(line)]


def test_a_reader_that_dies_is_told(handed_in, monkeypatch):
    """Some damaged files make Arrow abort its process; here any reader does."""
    root, result = handed_in
    monkeypatch.setenv("PYTHONMALLOC", "no such allocator")
    assert "reading it ended the reader" in told(check(result, root))


def test_nothing_in_the_folder_that_the_check_is_run_in_is_imported(handed_in, tmp_path, monkeypatch):
    root, result = handed_in
    for name in ("pyarrow", "json", "da2k"):
        (tmp_path / f"{name}.py").write_text("open('imported', 'w')")
    monkeypatch.chdir(tmp_path)
    assert not check(result, root).problems
    assert not (tmp_path / "imported").exists()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_rows_are_told_never_a_crash(handed_in, data):
    import hashlib

    root, result = handed_in
    sound = result.with_name(json.loads(result.read_text())["rows"]["file"]).read_bytes()
    at = data.draw(st.integers(0, len(sound) - 1))
    damaged = sound[:at] + bytes([data.draw(st.integers(0, 255))]) + sound[at + data.draw(st.integers(0, 3)) :]
    (result.parent / "other.parquet").write_bytes(damaged)
    content = json.loads(result.read_text())
    content["rows"] = {"file": "other.parquet", "sha256": hashlib.sha256(damaged).hexdigest()}
    (other := result.with_name("other.json")).write_text(json.dumps(content))
    checked = check(other, root)
    assert (checked.row is None) is bool(checked.problems)
