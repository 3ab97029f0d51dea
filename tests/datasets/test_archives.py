"""Zip archives from strangers: what must be refused, and what must come out right."""

import stat
import struct
import subprocess
import sys
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from da2k.datasets.archives import BadArchive, Limits, damaged_files, extract_zip, read_members
from da2k.errors import BadInput

CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
LONG = bytes(range(256)) * 20


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "a.zip"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "data" / "out"


def write_zip(path: Path, *names: str, data: bytes = b"data", mode: int = 0, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # duplicate names
        for name in names:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.external_attr = mode << 16
            file.writestr(info, data)


def named(*names: str) -> Callable[[Path], None]:
    return lambda path: write_zip(path, *names)


def of_mode(mode: int, name: str = "odd") -> Callable[[Path], None]:
    return lambda path: write_zip(path, name, mode=mode)


def patched(change: Callable[[bytearray], None], *names: str, **options: object) -> Callable[[Path], None]:
    """An archive whose bytes are changed after it was written."""

    def make(path: Path) -> None:
        write_zip(path, *(names or ("a.txt",)), **options)  # type: ignore[arg-type]
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)

    return make


def central(content: bytearray, number: int = 0) -> int:
    """Where the number-th entry of the directory at the end begins."""
    at = -1
    for _ in range(number + 1):
        at = content.index(CENTRAL, at + 1)
    return at


def encrypt(content: bytearray) -> None:
    content[central(content) + 8] |= 1


def state_size(size: int) -> Callable[[bytearray], None]:
    return lambda content: struct.pack_into("<L", content, central(content) + 24, size)


def state_size_and_sum(size: int, summed: int) -> Callable[[bytearray], None]:
    """The entry claims to end early, with the right checksum of so many bytes."""

    def change(content: bytearray) -> None:
        struct.pack_into("<L", content, central(content) + 16, zlib.crc32(LONG[:summed]))
        struct.pack_into("<L", content, central(content) + 24, size)

    return change


def share_bytes(content: bytearray) -> None:
    struct.pack_into("<L", content, central(content, 1) + 42, 0)


def flip_data(content: bytearray) -> None:
    content[content.index(b"data")] ^= 1


def with_nul(content: bytearray) -> None:
    content[:] = content.replace(b"a?b", b"a\0b")


def write_bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(content), None)[1]


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "parent": (named("ok.txt", "../evil.txt"), "leaves the folder"),
    "parent within": (named("a/../../evil.txt"), "leaves the folder"),
    "parent in the middle": (named("a/../b.txt"), "leaves the folder"),
    "parent folder entry": (named("../evil/"), "leaves the folder"),
    "parent in what is left out": (named("__MACOSX/../../evil.txt"), "leaves the folder"),
    "absolute": (named("/etc/evil.txt"), "is an absolute path"),
    "double slash": (named("//host/evil.txt"), "is an absolute path"),
    "drive": (named("C:/evil.txt"), "has a drive letter"),
    "drive without slash": (named("c:evil.txt"), "has a drive letter"),
    "drive further down": (named("a/D:evil.txt"), "has a drive letter"),
    "backslash": (named("..\\evil.txt"), "has a backslash"),
    "backslash within": (named("a\\b.txt"), "has a backslash"),
    "empty part": (named("a//b.txt"), "has an empty part"),
    "here": (named("./a.txt"), "has an empty part"),
    "dots and spaces": (named("a/.. /b.txt"), "has an empty part"),
    "no name": (named(""), "has an empty part"),
    "newline": (named("a\nb.txt"), "has a control character"),
    "escape": (named("\x1b[2Jb.txt"), "has a control character"),
    "nul": (patched(with_nul, "a?b"), "has a control character"),
    "long part": (named("ä" * 128), "has too long a name"),
    "long path": (named("/".join(["x" * 99] * 11)), "has too long a name"),
    "deep": (named("/".join("x" * 40)), "is nested deeper than 32 folders"),
    "link": (of_mode(stat.S_IFLNK | 0o777), "is a link"),
    "folder link": (of_mode(stat.S_IFLNK | 0o777, "odd/"), "is a link"),
    "fifo": (of_mode(stat.S_IFIFO | 0o666), "is a device or another special file"),
    "character device": (of_mode(stat.S_IFCHR | 0o666), "is a device or another special file"),
    "block device": (of_mode(stat.S_IFBLK | 0o666), "is a device or another special file"),
    "socket": (of_mode(stat.S_IFSOCK | 0o666), "is a device or another special file"),
    "file that says folder": (of_mode(stat.S_IFDIR | 0o777), "is a device or another special file"),
    "twice": (named("a.txt", "b.txt", "a.txt"), "stands twice"),
    "case": (named("a/Photo.jpg", "a/photo.JPG"), "only in case or Unicode form"),
    "case of a folder": (named("Images/a.jpg", "images/b.jpg"), "only in case or Unicode form"),
    "sharp s": (named("straße", "STRASSE"), "only in case or Unicode form"),
    "unicode form": (
        named(unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")),
        "only in case or Unicode form",
    ),
    "file and folder": (named("a", "a/b.txt"), "makes 'a' both a file and a folder"),
    "folder and file": (named("a/b.txt", "a"), "makes 'a' both a file and a folder"),
    "encrypted": (patched(encrypt), "is encrypted"),
    "bzip2": (lambda path: write_zip(path, "a.txt", method=zipfile.ZIP_BZIP2), "is compressed by method 12"),
    "bomb": (
        lambda path: write_zip(path, "a.bin", data=bytes(1 << 21), method=zipfile.ZIP_DEFLATED),
        "would grow more than 150 times",
    ),
    "stored with two sizes": (patched(state_size(3)), "states two sizes"),
    "more than stated": (
        patched(state_size_and_sum(1000, 1000), data=LONG, method=zipfile.ZIP_DEFLATED),
        "not a sound zip archive .Bad CRC-32",
    ),
    "more than stated, with the sum of what is looked at": (
        patched(state_size_and_sum(1000, 1001), data=LONG, method=zipfile.ZIP_DEFLATED),
        "holds more than the 1,000 bytes it states",
    ),
    "less than stated": (
        patched(state_size(6000), data=LONG, method=zipfile.ZIP_DEFLATED),
        "holds less than the 6,000 bytes it states",
    ),
    "shared bytes": (patched(share_bytes, "a.txt", "b.txt"), "share bytes"),
    "damaged": (patched(flip_data), "not a sound zip archive .Bad CRC-32"),
    "cut off": (patched(lambda content: content.__delitem__(slice(40, None))), "it begins with b'PK"),
    "a web page": (write_bytes(b"<!DOCTYPE html><title>Sign in</title>"), "it begins with b'<!DOCTYPE ht'"),
    "empty": (write_bytes(b""), "it begins with b''"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_and_nothing_written(name: str, archive: Path, into: Path) -> None:
    make, reason = HOSTILE[name]
    make(archive)
    with pytest.raises(BadArchive, match=reason) as caught:
        extract_zip(archive, into)
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(into.parent.iterdir()) == []
    assert sorted(archive.parent.iterdir()) == [archive, into.parent]


def test_too_many_bytes(archive: Path, into: Path) -> None:
    write_zip(archive, "a", "b", data=b"12345")
    with pytest.raises(BadArchive, match="would unpack to 10 bytes, more than the 9 allowed"):
        extract_zip(archive, into, Limits(total_bytes=9))
    extract_zip(archive, into, Limits(total_bytes=10))


@pytest.mark.parametrize("stated", [None, 0, 1])
def test_too_many_entries_whatever_the_archive_says_of_their_number(
    archive: Path, into: Path, stated: int | None
) -> None:
    write_zip(archive, *"abcd")
    content = bytearray(archive.read_bytes())
    if stated is not None:
        struct.pack_into("<HH", content, content.index(END) + 8, stated, stated)
    archive.write_bytes(content)
    with pytest.raises(BadArchive, match="has more than the 3 entries allowed"):
        extract_zip(archive, into, Limits(entries=3))
    extract_zip(archive, into, Limits(entries=4))


def test_too_many_entries_of_a_zip64_archive(archive: Path, into: Path) -> None:
    write_zip(archive, *"abcd", data=bytes(3000))
    content = archive.read_bytes()
    end = content.index(END)
    entries, size, start = struct.unpack_from("<HLL", content, end + 10)
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    tail = END + struct.pack("<4H2LH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    archive.write_bytes(content[:end] + record + locator + tail)
    assert [member.path for member in read_members(archive, Limits(entries=4))] == list("abcd")
    with pytest.raises(BadArchive, match="has more than the 3 entries allowed"):
        extract_zip(archive, into, Limits(entries=3))


def test_a_directory_of_unlikely_size(archive: Path, into: Path) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for name in "abc":
            info = zipfile.ZipInfo(name)
            info.extra = struct.pack("<HH", 0xCAFE, 2000) + bytes(2000)
            file.writestr(info, b"")
    with pytest.raises(BadArchive, match="has more than the 3 entries allowed"):
        extract_zip(archive, into, Limits(entries=3))


def test_files_come_out_as_they_went_in(archive: Path, into: Path) -> None:
    contents = {"images/indoor/a.jpg": bytes(range(256)) * 900, "annotations.json": b"{}", "empty": b""}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.mkdir("images/") if hasattr(file, "mkdir") else None
        for name, data in contents.items():
            file.writestr(name, data)
    seen: list[tuple[int, int | None]] = []

    extract_zip(archive, into, progress=lambda *at: seen.append(at))

    found = {p.relative_to(into).as_posix(): p.read_bytes() for p in into.rglob("*") if p.is_file()}
    assert found == contents
    total = sum(map(len, contents.values()))
    assert (seen[0], seen[-1]) == ((0, total), (total, total))
    assert list(into.parent.iterdir()) == [into]


@pytest.mark.parametrize("flagged", [True, False])
def test_names_outside_ascii(archive: Path, into: Path, flagged: bool) -> None:
    name = "images/object/naïve_日本_🐟.jpg"
    if flagged:
        write_zip(archive, name)
    else:
        stand_in = "images/object/" + "x" * (len(name.encode()) - len("images/object/"))
        write_zip(archive, stand_in)
        archive.write_bytes(archive.read_bytes().replace(stand_in.encode(), name.encode()))
    with zipfile.ZipFile(archive) as file:
        assert (file.namelist() == [name]) == flagged

    extract_zip(archive, into)

    assert (into / name).read_bytes() == b"data"


def test_names_in_the_old_code_page(archive: Path, into: Path) -> None:
    write_zip(archive, "caf?.jpg")
    archive.write_bytes(archive.read_bytes().replace(b"caf?.jpg", b"caf\x82.jpg"))
    extract_zip(archive, into)
    assert [path.name for path in into.iterdir()] == ["café.jpg"]


def test_clutter_of_macos_is_left_out(archive: Path, into: Path) -> None:
    write_zip(archive, "a/b.jpg", "a/.DS_Store", "__MACOSX/a/._b.jpg", "__MACOSX/")
    extract_zip(archive, into)
    assert [path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()] == ["a/b.jpg"]


def test_what_is_there_is_replaced_only_when_asked(archive: Path, into: Path) -> None:
    write_zip(archive, "new.txt")
    into.mkdir(parents=True)
    extract_zip(archive, into)  # an empty folder is in nobody's way
    (into / "mine.txt").write_text("mine")

    with pytest.raises(BadInput, match="out: is there already; remove it first"):
        extract_zip(archive, into)
    assert (into / "mine.txt").read_text() == "mine"

    extract_zip(archive, into, replace=True)
    assert [path.name for path in into.iterdir()] == ["new.txt"]
    assert list(into.parent.iterdir()) == [into]


def test_a_bad_archive_replaces_nothing(archive: Path, into: Path) -> None:
    into.mkdir(parents=True)
    (into / "mine.txt").write_text("mine")
    patched(flip_data)(archive)
    with pytest.raises(BadArchive):
        extract_zip(archive, into, replace=True)
    assert (into / "mine.txt").read_text() == "mine"


def test_a_full_disk_is_noticed_before_the_first_file(archive: Path, into: Path) -> None:
    sizes = [(1 << 32) - 2] * 60
    content, directory = b"", b""
    for number, size in enumerate(sizes):
        name, packed = str(number).encode(), bytes(10)
        fields = struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 0, 0, len(packed), size, len(name), 0)
        directory += CENTRAL + b"\x14\0" + fields + struct.pack("<HHHLL", 0, 0, 0, 0, len(content)) + name
        content += b"PK\x03\x04" + fields + name + packed
    tail = END + struct.pack("<4H2LH", 0, 0, len(sizes), len(sizes), len(directory), len(content), 0)
    archive.write_bytes(content + directory + tail)
    generous = Limits(total_bytes=1 << 60, ratio=1e12)
    with pytest.raises(BadInput, match=r"257,698,037,640 bytes are needed and [0-9,]+ are free"):
        extract_zip(archive, into, generous)
    assert list(into.parent.iterdir()) == []


def test_kill_leaves_no_half_folder(archive: Path, into: Path) -> None:
    write_zip(archive, *(f"images/{n}.bin" for n in range(20)), data=bytes(range(256)) * 40)
    code = f"""
from pathlib import Path
import time
from da2k.datasets.archives import extract_zip
def stop(done, total):
    if done > total / 2:
        print("half", flush=True)
        time.sleep(600)
extract_zip(Path({str(archive)!r}), Path({str(into)!r}), progress=stop)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        with pytest.raises(BadInput, match=f"out: process {process.pid} on .* is working on it"):
            extract_zip(archive, into)
        process.kill()
    assert not into.exists()
    assert any(path.is_dir() for path in into.parent.iterdir()), "the child had begun"

    extract_zip(archive, into)

    assert len(list((into / "images").iterdir())) == 20
    assert list(into.parent.iterdir()) == [into]


def test_damage_after_unpacking_is_found(archive: Path, into: Path) -> None:
    write_zip(archive, "whole", "gone", "short", "changed")
    extract_zip(archive, into)
    assert list(damaged_files(archive, into)) == []

    (into / "gone").unlink()
    (into / "short").write_bytes(b"dat")
    (into / "changed").write_bytes(b"dots")

    assert list(damaged_files(archive, into)) == [
        ("gone", "no such file or directory"),
        ("short", "has 3 bytes, 4 in the archive"),
        ("changed", "has another content than in the archive"),
    ]


NAMES = st.lists(
    st.text(
        st.sampled_from("aAbé\u0301/.\\:ßK\u212a \n日") | st.characters(codec="utf-8"), min_size=1, max_size=12
    ).filter(lambda name: "\0" not in name),
    min_size=1,
    max_size=5,
    unique=True,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=NAMES)
def test_either_refused_or_every_file_under_its_own_name(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("law")
    contents = {name: f"{number}: {name}".encode() for number, name in enumerate(names) if not name.endswith("/")}
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        for name in names:
            file.writestr(name, contents.get(name, b""))
    into = folder / "in" / "out"
    try:
        extract_zip(folder / "a.zip", into)
    except BadArchive:
        assert not into.exists()
    else:
        found = {p.relative_to(into).as_posix(): p.read_bytes() for p in into.rglob("*") if p.is_file()}
        traces = {name for name in contents if any(part.startswith("._") for part in name.split("/"))}
        wanted = {name for name in contents if not {"__MACOSX", ".DS_Store"} & set(name.split("/"))} - traces
        assert found == {name: contents[name] for name in wanted}
    assert set(folder.iterdir()) == {folder / "a.zip", folder / "in"}
    assert set((folder / "in").iterdir()) <= {into}
