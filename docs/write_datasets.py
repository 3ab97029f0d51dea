"""Write the second part of docs/datasets.md from readers and data manifest. A test checks that it is up to date."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from da2k.datasets.manifest import Dataset, load_manifest
from da2k.datasets.open_frames import FORMATS

PAGE = Path(__file__).with_name("datasets.md")
BEGIN = "<!-- From here on written by make docs from the readers and the data manifest. -->"

ROWS = {
    "kitti": (
        "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png",
        "2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02/0000000069.png",
    ),
    "nyu": ("bathroom/rgb_00045.jpg", "bathroom/sync_depth_00045.png"),
    "sintel": ("final/ambush_2/frame_0017.png", "depth/ambush_2/frame_0017.dpt"),
    "eth3d": (
        "rgb/office/images/dslr_images/DSC_0219.JPG",
        "depth/office_dslr_depth/office/ground_truth_depth/dslr_images/DSC_0219.JPG",
    ),
    "diode": (
        "indoors/scene_00021/scan_00189/00021_00189_indoors_200_010.png",
        "indoors/scene_00021/scan_00189/00021_00189_indoors_200_010_depth.npy",
        "indoors/scene_00021/scan_00189/00021_00189_indoors_200_010_depth_mask.npy",
    ),
}
"""A row of each published list."""


def page(own_part: str) -> str:
    """The text of docs/datasets.md: the hand-written part up to the marker, then places, fetching and licences."""
    manifest = load_manifest()
    lines = [
        "",
        "## Places",
        "",
        "Folders under the root in which the files of a row are looked for, in this order; the paths are of the",
        "first row of each list. Of NYU's .mat the root may also be the file itself.",
        "",
        *(line for reader in FORMATS for line in places(reader)),
        "## What `da2k data fetch` gets",
        "",
        *(line for name in ROWS for line in fetched(manifest[name])),
        "",
        "What is left to do by hand `da2k data fetch NAME` says at its end. Where there is no network it also says",
        "every address, where its file goes, and its SHA-256. `da2k data list --json` holds the same steps.",
        "",
        "## Licences",
        "",
        *licences(manifest[name] for name in ROWS),
        "",
    ]
    return own_part.partition(BEGIN)[0] + BEGIN + "\n".join(lines)


def places(reader: str) -> Iterator[str]:
    """Where the files of one row are looked for."""
    form = FORMATS[reader]
    row = ROWS[reader.partition("-")[0]]
    looked_for = form.places(row)
    spare = " (and one column that is not used)" if form.spare else ""
    yield f"### {reader}\n"
    yield f"Columns: {', '.join(form.columns)}{spare}.\n"
    for column, paths in zip(form.columns if len(looked_for) > 1 else ("all frames",), looked_for, strict=True):
        path, folders = in_common(paths)
        yield f"- {column}: `{path}` in {', '.join(f'`{folder}`' if folder else 'the root' for folder in folders)}"
    yield ""


def in_common(paths: Sequence[str]) -> tuple[str, list[str]]:
    """The end that all paths have, and the folder of each before it."""
    parts = [path.split("/") for path in dict.fromkeys(paths)]
    same = 0
    while same < min(map(len, parts)) and len({each[len(each) - same - 1] for each in parts}) == 1:
        same += 1
    return "/".join(parts[0][len(parts[0]) - same :]), ["/".join(each[: len(each) - same]) for each in parts]


def fetched(dataset: Dataset) -> Iterator[str]:
    """What `da2k data fetch` gets, and whether something is left to people."""
    (listed,) = dataset.lists
    count = f"{listed.rows} rows" + (f", {listed.scored} with depth" if listed.scored < listed.rows else "")
    files = [f"`{file.name}`{' (unpacked)' if file.unpack else ''}" for file in dataset.files]
    rest = "the rest by hand" if dataset.instructions else "nothing is left to do"
    yield f"- {dataset.id}, {dataset.title}: {', '.join([f'`{listed.name}` ({count})', *files])}; {rest}"


def licences(datasets: Iterator[Dataset]) -> Iterator[str]:
    """One table."""
    yield "| dataset | licence | where that is from |"
    yield "|---|---|---|"
    for dataset in datasets:
        licence = f"[{dataset.licence}]({dataset.licence_url})" if dataset.licence_url else dataset.licence
        yield f"| [{dataset.id}]({dataset.url}) | {licence} | {' '.join(dataset.licence_evidence.split())} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
