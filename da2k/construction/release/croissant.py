"""Croissant 1.1 metadata of a release: what its files are and how to read them as records.

Specification: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. schema.org is written with https, as
mlcroissant and dataset hubs do, not with the http of the specification's examples, which mlcroissant refuses.
"""

import glob
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import da2k
from da2k.construction.release.account import caveats, how_chosen, how_decided, how_often_wrong_together
from da2k.construction.release.card import is_address
from da2k.construction.release.contents import Contents
from da2k.construction.release.provenance import LEFT_OUT_COLUMNS, RELEASED_COLUMNS, Column

VERSION = "http://mlcommons.org/croissant/1.1"
RAI_VERSION = "http://mlcommons.org/croissant/RAI/1.0"
ACTIVITY = "da2k build release"
"""What generated a release, as its metadata says; by this a release is known as ours."""

_OWN_TERMS = (
    "annotation arrayShape citeAs column containedIn equivalentProperty excludes extract field fileObject fileProperty "
    "fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path readLines recordSet references "
    "regex repeated replace samplingRate sdVersion separator source subField transform unArchive value"
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _OWN_TERMS.split()},
}
"""The context of the specification's appendix 1, with PROV and the terms that mlcroissant adds."""

_MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".ppm": "image/x-portable-pixmap",
}
_TYPES = {"text": "sc:Text", "texts": "sc:Text", "integer": "sc:Integer", "number": "sc:Float", "boolean": "sc:Boolean"}


def write_croissant(contents: Contents, files: Mapping[str, bytes]) -> str:
    """The text of `croissant.json`.

    Args:
        contents: what the release says.
        files: the bytes of `annotations.json`, `provenance.parquet` and `left-out.parquet`, by these names.
    """
    release = contents.settings.release
    described = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": release.name,
        "description": _description(contents),
        "conformsTo": [VERSION, RAI_VERSION],
        "version": contents.version,
        "license": _licence(release.licence),
        "url": release.url,
        "creator": [{"@type": "sc:Person", "name": creator} for creator in release.creators],
        "datePublished": release.date,
        "citeAs": release.citation,
        "keywords": ["depth estimation", "depth ordering", "benchmark", *contents.scenarios],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": ACTIVITY,
            "prov:wasAssociatedWith": {"@type": "prov:SoftwareAgent", "prov:label": f"da2k {da2k.__version__}"},
        },
        "rai:dataCollection": " ".join(how_chosen(contents)),
        "rai:dataAnnotationProtocol": " ".join(how_decided(contents)),
        "rai:dataAnnotationAnalysis": how_often_wrong_together(contents),
        "rai:machineAnnotationTools": list(contents.experts),
        "rai:dataBiases": caveats(contents),
        "distribution": [
            _file("annotations.json", "application/json", "The labels, in the official DA-2K format.", files),
            _file("provenance.parquet", "application/x-parquet", "One row a released pair.", files),
            _file("left-out.parquet", "application/x-parquet", "One row a decided pair that is not released.", files),
            _photographs(contents.photos),
        ],
        "recordSet": [
            _records("pairs", "The released pairs.", "provenance.parquet", RELEASED_COLUMNS),
            _records("left-out", "Decided pairs that are not released.", "left-out.parquet", LEFT_OUT_COLUMNS),
            _images(),
        ],
    }
    given = {name: value for name, value in described.items() if value not in (None, "", [])}
    return json.dumps(given, indent=1, ensure_ascii=False) + "\n"


def _description(contents: Contents) -> str:
    about = (
        f"{len(contents.released)} pairs of pixels on {len(contents.photos)} photographs; of each pair it is known "
        "which of the two is closer to the camera."
    )
    lacking = ": pairs that belong in it lack their checks" if contents.lacking else ""
    draft = f"DRAFT, not for publishing{lacking}." if contents.draft else ""
    return " ".join(filter(None, (draft, contents.settings.release.description.strip(), about)))


def _licence(licence: str | None) -> str | None:
    if licence is None or is_address(licence) or not re.fullmatch(r"[A-Za-z0-9.+-]+", licence):
        return licence
    return f"https://spdx.org/licenses/{licence}"


def _file(name: str, media_type: str, what: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    data = files[name]
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": what,
        "contentUrl": name,
        "contentSize": f"{len(data)} B",
        "encodingFormat": media_type,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _photographs(images: Iterable[str]) -> dict[str, Any]:
    """One set of all photographs: mlcroissant decodes any of them if JPEG or PNG is among the formats."""
    formats, includes = set(), set()
    for image in images:
        suffix = PurePosixPath(image).suffix
        formats.add(_MEDIA_TYPES.get(suffix.lower(), "application/octet-stream"))
        includes.add(f"images/**/*{glob.escape(suffix)}" if suffix else glob.escape(image))
    return {
        "@type": "cr:FileSet",
        "@id": "photographs",
        "name": "photographs",
        "description": "The photographs; SHA256SUMS has the checksum of each.",
        "encodingFormat": sorted(formats),
        "includes": sorted(includes),
    }


def _records(name: str, what: str, file: str, columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": what,
        "key": {"@id": f"{name}/pair"},
        "field": [_field(name, file, column) for column in columns],
    }


def _field(records: str, file: str, column: Column) -> dict[str, Any]:
    identity = f"{records}/{column.name}"
    source = {"fileObject": {"@id": file}, "extract": {"column": column.name}}
    field = {"@type": "cr:Field", "@id": identity, "name": column.name, "description": column.meaning}
    if column.kind == "votes":
        return field | {
            "isArray": True,
            "arrayShape": "-1",
            "subField": [
                {
                    "@type": "cr:Field",
                    "@id": f"{identity}/{part}",
                    "name": part,
                    "description": meaning,
                    "dataType": "sc:Text",
                    "source": source | {"transform": {"jsonPath": part}},
                }
                for part, meaning in (("expert", "The expert model."), ("vote", "What it says."))
            ],
        }
    several = {"isArray": True, "arrayShape": "-1"} if column.kind == "texts" else {}
    return field | several | {"dataType": _TYPES[column.kind], "source": source}


def _images() -> dict[str, Any]:
    def field(name: str, what: str, data_type: str, part: str) -> dict[str, Any]:
        return {
            "@type": "cr:Field",
            "@id": f"images/{name}",
            "name": name,
            "description": what,
            "dataType": data_type,
            "source": {"fileSet": {"@id": "photographs"}, "extract": {"fileProperty": part}},
        }

    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "description": "The photographs.",
        "key": {"@id": "images/path"},
        "field": [
            field("path", "The path, as pairs/image has it.", "sc:Text", "fullpath"),
            field("content", "The picture, before its EXIF orientation is applied.", "sc:ImageObject", "content"),
        ],
    }
