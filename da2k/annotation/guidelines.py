"""What annotators read before they answer: a Markdown file, shown by Label Studio as the instructions of a project."""

from pathlib import Path

from da2k.construction.settings import Settings
from da2k.errors import BadInput, MissingExtra

# Label Studio's own style takes margins, bullets and line heights away, and its filter takes style attributes away.
_LOOK = """
.da2k-guidelines h1, .da2k-guidelines h2, .da2k-guidelines h3 { line-height: 1.3; margin: 1.1em 0 0.4em; }
.da2k-guidelines h1 { font-size: 1.5em; margin-top: 0.4em; }
.da2k-guidelines h2 { font-size: 1.25em; }
.da2k-guidelines p, .da2k-guidelines ul, .da2k-guidelines ol, .da2k-guidelines table { margin: 0 0 0.8em; }
.da2k-guidelines ul { list-style: disc; padding-left: 1.3em; }
.da2k-guidelines ol { list-style: decimal; padding-left: 1.6em; }
.da2k-guidelines li { margin-bottom: 0.5em; }
.da2k-guidelines th, .da2k-guidelines td { text-align: left; padding: 0.2em 1.2em 0.2em 0; }
"""


def guidelines(workspace_folder: Path, settings: Settings) -> str:
    """The guidelines as HTML with a style of its own: those that the settings name, else da2k's own.

    HTML that stands in the Markdown is shown as text, and addresses that would run a script are no links.

    Args:
        workspace_folder: a relative `annotation.guidelines` is one in this folder.
        settings: of the workspace.

    Raises:
        BadInput: the file is missing, is no text, or says nothing.
        MissingExtra: markdown-it-py is not installed.
    """
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        raise MissingExtra("markdown-it-py", "annotation") from None
    named = settings.annotation.guidelines
    path = _own() if named is None else workspace_folder / named
    whose = "" if named is None else "; da2k.yaml names it as annotation.guidelines"
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as e:  # ValueError: not UTF-8, or a path that no file can have
        reason = "not UTF-8 text" if isinstance(e, UnicodeDecodeError) else getattr(e, "strerror", None) or e
        raise BadInput(f"{path}: the guidelines for annotators cannot be read ({reason}){whose}") from None
    html: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    if not html.strip():
        raise BadInput(f"{path}: the guidelines for annotators are empty{whose}")
    return f'<div class="da2k-guidelines">\n<style>{_LOOK}</style>\n{html}</div>\n'


def _own() -> Path:
    """`GUIDELINES.md` in the installed package, or in the folder `annotation` of a checkout."""
    here = Path(__file__).resolve()
    packaged = here.with_name("GUIDELINES.md")
    return packaged if packaged.is_file() else here.parents[2] / "annotation" / "GUIDELINES.md"
