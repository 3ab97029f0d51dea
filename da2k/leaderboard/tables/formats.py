"""Tables of text as CSV, Markdown and LaTeX. What other people wrote cannot become a formula, a tag or a command."""

import csv
import io
from collections.abc import Mapping, Sequence

Rows = Sequence[Sequence[str]]

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What makes a spreadsheet compute a cell, also in their full-width forms."""
_MARKDOWN = str.maketrans(
    {c: f"\\{c}" for c in "*_[]`~$#"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;"}
)
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "{}$&#_%"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "-": "{-}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}", "*": "{*}"}
    | {'"': "''", "–": "--", "−": "$-$", "δ": r"$\delta$", "×": r"$\times$", "≈": r"$\approx$"}
)
"""A hyphen stands in braces, or two would become a dash; a bracket or star too, or one after the end of a line of a
table would belong to it."""


def csv_text(columns: Sequence[str], rows: Rows) -> str:
    r"""Comma-separated values as RFC 4180 has them.

    A cell that a spreadsheet would take for a formula begins with an apostrophe, which it shows as text.

    >>> csv_text(["a"], [["=1+1"], ["x,y"]]).splitlines()
    ['a', "'=1+1", '"x,y"']
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    for row in (columns, *rows):
        writer.writerow([_no_formula(cell) for cell in row])
    return buffer.getvalue()


def markdown_text(columns: Sequence[str], rows: Rows, *, text: int = 1) -> str:
    """A table of GitHub's Markdown.

    Args:
        columns: the titles, as text.
        rows: the cells, as Markdown: text of others goes through `markdown` or `markdown_link`.
        text: how many columns at the start align left; the others align right.
    """
    rule = ["---" if i < text else "---:" for i in range(len(columns))]
    lines = [[markdown(title) for title in columns], rule, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown(words: str) -> str:
    r"""Text that Markdown shows as it is, without links.

    >>> markdown("a_b|<i>"), markdown("see http://x.org")
    ('a\\_b&#124;&lt;i&gt;', 'see http&#58;//x.org')
    """
    escaped = " ".join(words.split()).translate(_MARKDOWN)
    # Bare addresses become links, so these must not look like any.
    return escaped.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")


def markdown_link(words: str, address: str | None) -> str:
    """Text as a link, if there is an address, which has been checked to be one (`da2k.leaderboard.text.WebAddress`)."""
    return f"[{markdown(words)}](<{address.replace('&', '&amp;')}>)" if address else markdown(words)


def latex_text(columns: Sequence[str], groups: Mapping[str | None, Rows], *, text: int = 1) -> str:
    """A `tabular` with the rules of booktabs.

    Args:
        columns: the titles.
        groups: rows by a title that goes over the whole width, a rule between them; None for no title. A group without
            rows is left out.
        text: how many columns at the start align left; the others align right.
    """
    body = []
    for title, rows in groups.items():
        if rows:
            wide = [rf"\multicolumn{{{len(columns)}}}{{l}}{{{latex(title)}}} \\"] if title else []
            body += [r"\midrule", *wide, *map(_latex_row, rows)]
    shape = "l" * text + "r" * (len(columns) - text)
    head = [rf"\begin{{tabular}}{{{shape}}}", r"\toprule", _latex_row(columns)]
    return "\n".join([*head, *body, r"\bottomrule", r"\end{tabular}"]) + "\n"


def latex(words: str) -> str:
    r"""Text that LaTeX prints as it is.

    >>> print(latex("50 % of a_b"), latex("\\input{x}"))
    50 \% of a\_b \textbackslash{}input\{x\}
    """
    return " ".join(words.split()).translate(_LATEX)


def _no_formula(cell: str) -> str:
    risky = cell.startswith(("\t", "\r", "\n")) or cell.lstrip().startswith(_FORMULA)
    return f"'{cell}" if risky else cell


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(latex(cell) for cell in cells) + r" \\"
