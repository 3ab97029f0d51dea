"""The shape of the code: rooms import only rooms above them, nothing heavy is imported early, modules stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CODE = Path(__file__).resolve().parents[1] / "da2k"
VALUES = ("errors", "depth", "pairs", "images", "files", "results")
ROOMS = ("metrics", "protocols", "datasets", "models", "evaluation", "construction", "annotation", "leaderboard", "cli")
HEAVY = ("torch", "torchvision", "diffusers", "transformers", "matplotlib", "label_studio_sdk", "scipy", "pandas")
MODULES = sorted(path for path in CODE.rglob("*.py"))


def floor(module: str) -> int:
    """How low in the house a module stands: values are 0, each room one lower than the room above it."""
    parts = module.split(".")[1:]
    if not parts or parts[0] in VALUES:
        return 0
    return ROOMS.index(parts[0]) + 1 if parts[0] in ROOMS else len(ROOMS) + 1


def imported(path: Path):
    """The modules of da2k that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "da2k")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "da2k":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = (CODE.parent / whole.replace(".", "/")).with_suffix(".py").is_file()
                is_room = (CODE.parent / whole.replace(".", "/")).is_dir()
                yield whole if is_module or is_room else str(node.module)


def name_of(path: Path) -> str:
    return ".".join(("da2k", *path.relative_to(CODE).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_rooms_above_it(path):
    if path == CODE / "__init__.py":
        return  # it names the public functions of every room, and imports each when it is first used
    here = floor(name_of(path))
    below = [module for module in imported(path) if floor(module) > here]
    assert not below


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_is_longer_than_four_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 400


def adapters():
    from da2k.models.registry import ADAPTERS

    return [CODE / "models" / f"{place.partition(':')[0].rpartition('.')[2]}.py" for place in ADAPTERS.values()]


@pytest.mark.parametrize("path", adapters(), ids=name_of)
def test_an_adapter_has_26_to_150_lines(path):
    assert 26 <= len(path.read_text().splitlines()) <= 150


def repeated(trees):
    """Three statements in a row that stand in more than one of these modules; imports and docstrings do not count."""
    places = {}
    for name, tree in trees.items():
        blocks = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
        for block in blocks:
            code = [text for text in map(ast.unparse, block) if not text.startswith(("import ", "from ", "'", '"'))]
            for i in range(len(code) - 2):
                places.setdefault("\n".join(code[i : i + 3]), set()).add(name)
    return [text for text, names in places.items() if len(names) > 1]


def test_no_two_adapters_share_copied_preprocessing():
    trees = {path.stem: ast.parse(path.read_text()) for path in MODULES if path.parent == CODE / "models"}
    assert not repeated(trees)
    for function in ("network_size", "network_input"):
        (copy,) = [f for f in trees["depth_anything"].body if isinstance(f, ast.FunctionDef) and f.name == function]
        assert repeated({**trees, "copy": copy}), "a copy is found"


def test_no_room_is_a_catch_all():
    assert not [p for p in MODULES if p.stem in ("utils", "util", "helpers", "common", "misc")]


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print('\\n' + ' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_da2k_imports_nothing_heavy():
    assert not modules_after("import da2k") & {*HEAVY, "numpy", "PIL", "pydantic", "typer", "rich"}


def test_help_imports_nothing_heavy():
    code = "import sys; sys.argv[1:] = ['--help']\nfrom da2k.cli import main\ntry: main()\nexcept SystemExit: pass"
    loaded = modules_after(f"exec({code!r})")
    assert "typer" in loaded
    assert not loaded & {*HEAVY, "numpy", "PIL", "pydantic", "pyarrow", "rich", "yaml", "sqlite3"}


def test_values_and_metrics_know_no_network_no_screen_and_no_command_line():
    names = [name_of(p) for p in MODULES if floor(name_of(p)) <= 1]
    loaded = modules_after(f"import {', '.join(names)}")
    assert not loaded & {*HEAVY, "typer", "rich", "yaml", "sqlite3"}


@pytest.mark.parametrize(
    "module", ["hf", "marigold", "geowizard", "onnx", "tflite", "baseline", "predictions", "python"]
)
def test_an_adapter_imports_its_heavy_packages_only_when_it_is_used(module):
    assert not modules_after(f"import da2k.models.{module}") & {*HEAVY, "onnxruntime", "ai_edge_litert"}
