"""Unpacking .tar.gz archives: all of it or nothing, nothing outside, and no link, device or bomb."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from da2k.datasets.tar_archives import damaged_tar_files, extract_tar
from da2k.datasets.unpacking import BadArchive, Limits
from da2k.errors import BadInput

FILES = {"val/indoors/a.npy": b"depth" * 1000, "val/indoors/a.png": b"image", "val/outdoor/b.png": b""}


def tar(files: dict[str, bytes], **changes: object) -> bytes:
    """A tar of these files, with their folders; `changes` are fields of every entry."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in changes.items():
                setattr(info, field, value)
            file.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def with_folders(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        for folder in sorted({parent for name in files for parent in list(Path(name).parents)[:-1]}):
            info = tarfile.TarInfo(f"./{folder.as_posix()}/")
            info.type = tarfile.DIRTYPE
            file.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes, *, packed: bool = True) -> Path:
        path = tmp_path / "x.tar.gz"
        path.write_bytes(gzip.compress(content) if packed else content)
        return path

    return write


def content_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def require_nothing_but(archive: Path) -> None:
    assert [p.name for p in archive.parent.iterdir()] == [archive.name]


def test_everything_is_unpacked(archive: Callable[[bytes], Path], tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = archive(with_folders(FILES))
    extract_tar(path, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert content_of(tmp_path / "out") == FILES
    assert (tmp_path / "out/val/outdoor").is_dir()
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)


def test_the_top_folder_is_left_out(archive: Callable[[bytes], Path], tmp_path: Path) -> None:
    extract_tar(archive(with_folders(FILES)), tmp_path / "val", top_folder="val")
    assert content_of(tmp_path / "val") == {name.removeprefix("val/"): content for name, content in FILES.items()}


def test_a_file_beside_the_top_folder_is_refused(archive: Callable[[bytes], Path], tmp_path: Path) -> None:
    path = archive(tar({**FILES, "valid/c.png": b"x"}))
    with pytest.raises(BadArchive, match=r"entry 'valid/c.png' is not in the folder val"):
        extract_tar(path, tmp_path / "val", top_folder="val")
    require_nothing_but(path)


def test_traces_of_macos_are_left_out(archive: Callable[[bytes], Path], tmp_path: Path) -> None:
    extract_tar(archive(tar({**FILES, "val/.DS_Store": b"x", "__MACOSX/val/a": b"y"})), tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES


@given(
    st.dictionaries(
        st.text("abcdefgh日é", min_size=1, max_size=130).map(lambda name: f"folder/{name}.bin"),
        st.binary(max_size=3000),
    )
)
@settings(max_examples=30, deadline=None)
def test_what_was_packed_comes_out(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("tar")
    folded = {name.casefold(): (name, content) for name, content in files.items() if len(name.encode()) < 250}
    files = dict(folded.values())
    (folder / "x.tar.gz").write_bytes(gzip.compress(tar(files)))
    extract_tar(folder / "x.tar.gz", folder / "out")
    assert content_of(folder / "out") == files
    assert list(damaged_tar_files(folder / "x.tar.gz", folder / "out")) == []


NAMES = {
    "/etc/passwd": "is an absolute path",
    "a/../../b": "leaves the folder",
    "..": "leaves the folder",
    "a\\b": "has a backslash",
    "C:/b": "has a drive letter",
    "a\nb": "has a control character",
    "a//b": "has an empty part",
    "a/./b": "has an empty part",
    "x" * 256: "has too long a name",
    "a/" * 40 + "b": "is nested deeper",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_name_is_refused(archive: Callable[[bytes], Path], tmp_path: Path, name: str) -> None:
    path = archive(tar({"good": b"1", name: b"2"}))
    with pytest.raises(BadArchive, match=NAMES[name]) as caught:
        extract_tar(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    require_nothing_but(path)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("A", "differs from 'a' only in case"),
        ("a/b", "makes 'a' both a file and a folder"),
        ("a", "stands twice"),
    ],
)
def test_names_that_fall_together(archive: Callable[[bytes], Path], tmp_path: Path, other: str, reason: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        for name in ("a", other):
            file.addfile(tarfile.TarInfo(name))
    path = archive(packed.getvalue())
    with pytest.raises(BadArchive, match=reason):
        extract_tar(path, tmp_path / "out")
    require_nothing_but(path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.FIFOTYPE, "is a device"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
    ],
)
def test_what_is_no_file_is_refused(archive: Callable[[bytes], Path], tmp_path: Path, kind: bytes, reason: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        info = tarfile.TarInfo("val/x")
        info.type, info.linkname = kind, "/etc/passwd"
        file.addfile(info)
    path = archive(packed.getvalue())
    with pytest.raises(BadArchive, match=reason):
        extract_tar(path, tmp_path / "out")
    require_nothing_but(path)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive(archive: Callable[..., Path], tmp_path: Path, kept: float) -> None:
    noise = {f"{number}": Path(__file__).read_bytes()[number * 50 :] for number in range(20)}
    whole = gzip.compress(tar(noise))
    path = archive(whole[: int(kept * len(whole))], packed=False)
    with pytest.raises(BadArchive, match=r"x\.tar\.gz: not a sound \.tar\.gz archive") as caught:
        extract_tar(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    require_nothing_but(path)


def test_every_flipped_byte_is_noticed_or_does_no_harm(archive: Callable[..., Path], tmp_path: Path) -> None:
    whole = gzip.compress(tar(FILES), mtime=0)
    harmless = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path = archive(bytes(damaged), packed=False)
        try:
            extract_tar(path, tmp_path / "out", replace=True)
        except BadArchive:
            continue
        harmless += 1
        assert content_of(tmp_path / "out") == FILES
    assert harmless < 10, "more than gzip's own time, system and flags"


def test_a_damaged_header_does_not_end_the_archive_quietly(archive: Callable[[bytes], Path], tmp_path: Path) -> None:
    content = bytearray(tar({"a": b"1", "b": b"2"}))
    content[1024:1030] = b"broken"
    path = archive(bytes(content))
    with pytest.raises(BadArchive, match="an entry's header is damaged"):
        extract_tar(path, tmp_path / "out")
    require_nothing_but(path)


def test_a_name_of_two_gigabytes_takes_no_memory(archive: Callable[[bytes], Path], tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 31
    path = archive(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    with pytest.raises(BadArchive, match="a header is too long"):
        extract_tar(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(ratio=20), "would unpack to more than the"),
        (Limits(total_bytes=3 << 20, ratio=1e4), "more than the 3,145,728 bytes allowed"),
        (Limits(entries=1, ratio=1e4), "has more than the 1 entries allowed"),
    ],
)
def test_limits(archive: Callable[[bytes], Path], tmp_path: Path, limits: Limits, reason: str) -> None:
    path = archive(tar({"a": bytes(4 << 20), "b": b""}))
    with pytest.raises(BadArchive, match=reason):
        extract_tar(path, tmp_path / "out", limits)
    require_nothing_but(path)


def test_what_is_there_is_not_lost(archive: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine").write_bytes(b"mine")
    with pytest.raises(BadInput, match="is there already"):
        extract_tar(archive(tar(FILES)), folder)
    with pytest.raises(BadArchive):
        extract_tar(archive(b"no gzip", packed=False), folder, replace=True)
    assert content_of(folder) == {"mine": b"mine"}
    extract_tar(archive(tar(FILES)), folder, replace=True)
    assert content_of(folder) == FILES


def test_a_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.tar\.gz: No such file"):
        extract_tar(tmp_path / "none.tar.gz", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_damage_of_unpacked_files_is_found(archive: Callable[[bytes], Path], tmp_path: Path) -> None:
    path, folder = archive(tar(FILES)), tmp_path / "val"
    extract_tar(path, folder, top_folder="val")
    assert list(damaged_tar_files(path, folder, "val")) == []
    (folder / "indoors/a.npy").write_bytes(b"DEPTH" + FILES["val/indoors/a.npy"][5:])
    (folder / "indoors/a.png").write_bytes(b"")
    (folder / "outdoor/b.png").unlink()
    assert dict(damaged_tar_files(path, folder, "val")) == {
        "indoors/a.npy": "has another content than in the archive",
        "indoors/a.png": "has 0 bytes, 5 in the archive",
        "outdoor/b.png": "no such file or directory",
    }


def test_traces_of_macos_beside_the_top_folder_are_left_out_too(archive, tmp_path) -> None:
    stray = {".DS_Store": b"x", "._val": b"y", "__MACOSX/val/a": b"z", "val/indoors/._a.png": b"w"}
    extract_tar(archive(tar({**stray, **FILES})), tmp_path / "val", top_folder="val")
    assert content_of(tmp_path / "val") == {name.removeprefix("val/"): content for name, content in FILES.items()}


def test_a_file_in_the_place_of_the_top_folder_is_refused(archive, tmp_path) -> None:
    with pytest.raises(BadArchive, match="is not in the folder val"):
        extract_tar(archive(tar({"val": b"x"})), tmp_path / "val", top_folder="val")


def test_an_absolute_path_beside_a_top_folder_is_told_as_such(archive, tmp_path) -> None:
    with pytest.raises(BadArchive, match="is an absolute path"):
        extract_tar(archive(tar({"/val/x": b"x"})), tmp_path / "val", top_folder="val")
