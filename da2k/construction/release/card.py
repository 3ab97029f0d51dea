"""The dataset card: `README.md`, with the YAML front matter that dataset hubs read."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import da2k
from da2k.construction.release.account import PAPER, caveats, how_chosen, how_decided, how_often_wrong_together
from da2k.construction.release.agreement import Agreement, how_far_people_agree, told_alpha
from da2k.construction.release.contents import Contents
from da2k.construction.release.provenance import LEFT_OUT_COLUMNS, RELEASED_COLUMNS, Column

FILES = {
    "annotations.json": "the labels, in the official DA-2K format: the closer point first",
    "images/": "the photographs with a released pair, as they were taken in",
    "provenance.parquet": "one row a released pair: votes, who decided, difficulty",
    "left-out.parquet": "one row a pair that was decided and is not released, with the reason",
    "croissant.json": "Croissant 1.1 metadata",
    "counts.png": "the counts above, drawn",
    "SHA256SUMS": "checksums of all files; verify with `sha256sum --check SHA256SUMS`",
}

_HUB_LICENCES = frozenset(
    """
    apache-2.0 mit bsd-2-clause bsd-3-clause gpl-3.0 lgpl-3.0 agpl-3.0 gfdl c-uda cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
    cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
    cdla-permissive-2.0
    """.split()  # noqa: SIM905 - thirty lines otherwise
)
"""SPDX ids, in small letters, that the hub knows by the same name."""
_HUB_NAMES = {"pddl-1.0": "pddl", "odc-by-1.0": "odc-by", "odbl-1.0": "odbl"}


def write_card(contents: Contents) -> str:
    """The text of `README.md`. What users wrote in the settings is shown as they wrote it, not as Markdown."""
    import yaml

    front = yaml.safe_dump(_front_matter(contents), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n\n" + "\n".join(_body(contents)) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no link, no HTML, no heading, no table cell; paragraphs stay.

    >>> escape("# a|b <i>")
    '\\\\# a\\\\|b \\\\<i\\\\>'
    """
    lines = []
    for line in text.splitlines():
        shown = "".join(character if character.isprintable() else " " for character in line).strip()
        marked = re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", shown)
        # A heading, list, rule or underline only begins a line.
        lines.append(re.sub(r"^([#+=-]|\d+(?=[.)]))", lambda m: _at_start(m[1]), marked))
    return "\n".join(lines).strip()


def _at_start(mark: str) -> str:
    return f"{mark}\\" if mark.isdigit() else f"\\{mark}"


def _front_matter(contents: Contents) -> dict[str, Any]:
    release = contents.settings.release
    return {
        "pretty_name": f"{release.name} {contents.version}",
        **_licence(release.licence),
        "task_categories": ["depth-estimation"],
        "size_categories": [_size(len(contents.released))],
        "tags": ["depth-ordering", "relative-depth", "benchmark", "da2k", *(["draft"] if contents.draft else [])],
        "configs": [
            {"config_name": "pairs", "data_files": "provenance.parquet", "default": True},
            {"config_name": "left-out", "data_files": "left-out.parquet"},
        ],
    }


def _licence(licence: str | None) -> dict[str, str]:
    if licence is None:
        return {"license": "unknown"}
    known = _HUB_NAMES.get(licence.lower(), licence.lower())
    if known in _HUB_LICENCES or known in _HUB_NAMES.values():
        return {"license": known}
    name = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-") or "other"
    return {"license": "other", "license_name": name, **({"license_link": licence} if is_address(licence) else {})}


def is_address(text: str) -> bool:
    """Whether it is a web address that may stand in a link as it is."""
    return re.fullmatch(r"https?://[A-Za-z0-9._~:/?#@!$&'*+,;=%-]+", text) is not None


def _size(count: int) -> str:
    return "n<1K" if count < 1000 else "1K<n<10K" if count < 10_000 else "10K<n<100K" if count < 10**5 else "100K<n<1M"


def _body(contents: Contents) -> Iterator[str]:
    release = contents.settings.release
    yield from (f"# {escape(release.name)} {contents.version}", "")
    if contents.draft:
        lacking = "Pairs that belong in it still lack their checks; it" if contents.lacking else "It"
        yield from (f"> **DRAFT.** {lacking} is not for publishing.", "")
    if release.description.strip():
        yield from (escape(release.description), "")
    yield (
        f"{len(contents.released)} pairs of pixels on {len(contents.photos)} photographs. The question of each pair: "
        f"which of the two is closer to the camera? Made in the way of [DA-2K]({PAPER})."
    )
    yield ""
    yield from _list(_facts(contents))
    yield from ("## Counts", "", *_counts(contents), "", "![Pairs of each scenario](counts.png)", "")
    yield from ("## Use", "", "Score a model on it, in the folder that holds this file:", "")
    yield from ("```sh", "da2k evaluate MODEL --benchmark .", "```", "")
    yield from ("A point is `[row, column]`, from 0, in the photograph after its EXIF orientation is applied.", "")
    yield from _list(f"`{name}`: {what}" for name, what in FILES.items())
    yield from ("## How it was made", "", *_list(map(escape, how_chosen(contents))))
    yield from _experts(contents)
    yield from ("## What people said", "", *_list(map(escape, how_decided(contents))))
    if contents.agreement:
        yield from ("## How far people agree", "", *_list(map(escape, how_far_people_agree(contents.agreement))))
        yield from _agreements(contents)
    yield from ("## What the experts get wrong together", "", escape(how_often_wrong_together(contents)), "")
    yield from _difficulty(contents)
    yield from ("## Before you believe a number", "", *_list(map(escape, caveats(contents))))
    yield from ("## Columns of `provenance.parquet`", "", *_columns(RELEASED_COLUMNS))
    yield from ("## Columns of `left-out.parquet`", "", *_columns(LEFT_OUT_COLUMNS))
    if release.citation and release.citation.strip():
        fence = "`" * (2 + max((len(run) for run in re.findall("`+", release.citation)), default=1))
        yield from ("## Citation", "", f"{fence}bibtex", *release.citation.strip().splitlines(), fence, "")
    yield f"Made with da2k {da2k.__version__}."


def _facts(contents: Contents) -> Iterator[str]:
    release = contents.settings.release
    yield f"Version: {contents.version}" + (f", {release.date}" if release.date else "")
    yield f"Licence of the labels: {escape(release.licence) if release.licence else 'none given'}"
    if release.creators:
        yield f"By: {'; '.join(escape(creator) for creator in release.creators)}"
    if release.url:
        yield f"At: <{release.url}>" if is_address(release.url) else f"At: {escape(release.url)}"
    yield f"Digest of the labels, which results of `da2k evaluate` name: `{contents.labels}`"


def _counts(contents: Contents) -> Iterator[str]:
    yield from _row(["scenario", "photographs", "pairs", "disputed", "manual", "unanimous"])
    yield from _row(["---", "---:", "---:", "---:", "---:", "---:"])
    counts = contents.scenarios
    for name, n in counts.items():
        yield from _row([escape(name), n.images, n.pairs, n.disputed, n.manual, n.unanimous])
    fields = ("images", "pairs", "disputed", "manual", "unanimous")
    yield from _row(["all", *(sum(getattr(n, field) for n in counts.values()) for field in fields)])
    if contents.reasons:
        left = ", ".join(f"{count} {reason}" for reason, count in contents.reasons.items())
        yield from ("", f"Not in it, of the pairs that went to people: {left}.")


def _experts(contents: Contents) -> Iterator[str]:
    if not any(contents.models):
        return
    yield from _row(["expert", "kind of its maps", "revision", "SHA-256 of its weights"])
    yield from _row(["---"] * 4)
    for name, model in zip(contents.experts, contents.models, strict=True):
        known = (model.kind, model.revision, model.weights_digest) if model else (None, None, None)
        yield from _row([escape(name), *(escape(fact) if fact else "" for fact in known)])
    yield ""


def _agreements(contents: Contents) -> Iterator[str]:
    if len(contents.agreements) < 2 or not contents.agreement or contents.agreement.unknown:
        return
    what = "alpha" if contents.agreement.checks is None else "checks that confirm"
    yield from _row(["scenario", "pairs", "answers", "people", what])
    yield from _row(["---", "---:", "---:", "---:", "---:"])
    for name, each in contents.agreements.items():
        yield from _row([escape(name), each.pairs, each.answers, each.people, _agreed(each)])
    yield ""


def _agreed(agreement: Agreement) -> str:
    if agreement.unknown:
        return f"not known: {agreement.unknown}"
    checks = agreement.checks
    return told_alpha(agreement) if checks is None else f"{checks.count} of {checks.total}"


def _difficulty(contents: Contents) -> Iterator[str]:
    right = [each.experts_right for each in contents.released if each.experts_right is not None]
    if not right:
        return
    experts = range(len(contents.experts) + 1)
    yield from ("## How hard the pairs are", "")
    yield from _row(["experts that are right", *map(str, experts)])
    yield from _row(["---", *("---:" for _ in experts)])
    yield from (*_row(["pairs", *(str(right.count(number)) for number in experts)]), "")


def _columns(columns: Sequence[Column]) -> Iterator[str]:
    return _list(f"`{column.name}`: {escape(column.meaning)}" for column in columns)


def _row(cells: Iterable[object]) -> Iterator[str]:
    yield f"| {' | '.join(str(cell) for cell in cells)} |"


def _list(items: Iterable[str]) -> Iterator[str]:
    yield from (f"- {' '.join(item.split())}" for item in items)
    yield ""
