"""Results to report on, and reports read as their readers would: tables, pictures, and all that a page could do."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
from PIL import Image

import da2k
from da2k.depth import DepthKind, DepthMap
from da2k.leaderboard.report import PAGE_LIMIT, write_report

VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """A page taken apart.

    Attributes:
        tables: by the first words of their captions, rows of cells.
        images: (src, alt) of each.
        elements: (name, attributes) of every start tag.
        text: everything that is shown.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tables: dict[str, list[list[str]]] = {}
        self.images: list[tuple[str, str]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self._words: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        assert len(given) == len(attributes), f"an attribute of {tag} is given twice"
        self.elements.append((tag, given))
        if tag == "img":
            self.images.append((given["src"], given["alt"]))
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} is closed, and was not the last one opened"
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script", "title"):
            return
        if "caption" in self.open:
            self._caption += data
        elif ("td" in self.open or "th" in self.open) and self._rows:
            self._rows[-1][-1] = " ".join((self._rows[-1][-1] + " " + data).split())
        self._words.append(data)

    def table(self, begin: str) -> list[list[str]]:
        """The rows of the table whose caption begins so; the first is the head."""
        (found,) = [rows for caption, rows in self.tables.items() if caption.startswith(begin)]
        return found

    @property
    def pictures(self) -> list[np.ndarray]:
        """The pixels of every picture, uint8 [H, W, 3]."""
        return [picture(source) for source, _ in self.images]

    @property
    def pairs(self) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
        """Image, closer and farther point of the drawn pairs, as their descriptions say."""
        say = re.compile(
            r"(.+): the point at row (\d+), column (\d+) is closer; the other is at row (\d+), column (\d+);"
        )
        found = [say.match(alt) for _, alt in self.images]
        return [(m[1], (int(m[2]), int(m[3])), (int(m[4]), int(m[5]))) for m in found if m]

    def dangers(self) -> list[str]:
        """Whatever could run, or ask for something."""
        found = [tag for tag, _ in self.elements if tag in ("script", "iframe", "object", "embed", "base", "form")]
        for tag, attributes in self.elements:
            for name, value in attributes.items():
                text = (value or "").strip().lower()
                if name.startswith("on") or ("javascript:" in text and name in ("href", "src", "action")):
                    found.append(f"{tag} {name}={value}")
                if name in ("src", "href", "srcset", "xlink:href") and not text.startswith(("data:", "#")):
                    found.append(f"{tag} {name}={value}")
        return found


def picture(source: str) -> np.ndarray:
    """The pixels in a data: address."""
    kind, _, data = source.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


class Noise:
    """Whole numbers at random, so with ties; an image whose name is in `broken` has no finite value."""

    def __init__(self, kind=DepthKind.AFFINE_DISPARITY, broken=(), least=0):
        self.kind, self.broken, self.least = kind, broken, least

    def predict(self, images):
        return [self.map_of(photo) for photo in images]

    def map_of(self, photo):
        rng = np.random.default_rng(sum(photo.name.encode()))
        values = self.least + rng.integers(0, 12, photo.size).astype(np.float32)
        return DepthMap(np.full(photo.size, np.nan) if photo.name in self.broken else values, self.kind)


def evaluated(folder, tmp_path, model=None, **options):
    out = tmp_path / "result.json"
    da2k.evaluate(model or Noise(), folder, out=out, **options)
    return out


def rows_of(result):
    return pd.read_parquet(result.with_name(json.loads(result.read_text())["rows"]["file"]))


def rewrite(result, change, rows=None):
    """Change a result on disk; with rows, their file too, and its digest."""
    content = json.loads(result.read_text())
    if rows is not None:
        buffer = io.BytesIO()
        rows.to_parquet(buffer)
        result.with_name(content["rows"]["file"]).write_bytes(buffer.getvalue())
        content["rows"]["sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    change(content)
    result.write_text(json.dumps(content))


def page_of(result, **options):
    out = result.with_name("report.html")
    made = write_report(result, out, **options)
    assert made.size == out.stat().st_size < PAGE_LIMIT
    return Page(out.read_text())


PAIRS = [
    ((20, 30), (180, 220)),
    ((100, 120), (90, 125)),
    ((2, 3), (60, 10)),
    ((195, 245), (150, 200)),
    ((9, 9), (9, 200)),
]
"""Closer and farther points in the photo of `plain_benchmark`."""


def plain_benchmark(tmp_path, pairs, size=(200, 250), name="plain"):
    """One photo whose red is the row and whose green is the column."""
    root = tmp_path / name
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(size[0])[:, None], np.arange(size[1])
    (root / "images/indoor").mkdir(parents=True)
    Image.fromarray(pixels).save(root / "images/indoor/plain.png")
    labels = [{"point1": list(a), "point2": list(b), "closer_point": "point1"} for a, b in pairs]
    (root / "annotations.json").write_text(json.dumps({"images/indoor/plain.png": labels}))
    return root


def scored_benchmark(make_benchmark, tmp_path):
    """A benchmark of 144 pairs, and a result on it with every outcome but missing."""
    folder = make_benchmark(images=24, pairs=6, seed=3)
    return folder, evaluated(folder, tmp_path, Noise(broken=("images/aerial/photo005.png",)))
