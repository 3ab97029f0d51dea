"""`da2k models list` and `show`."""

from typing import Annotated

import typer

app = typer.Typer(help="The models that can be named.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("list")
def list_models(json: Json = False) -> None:
    """List the models known by name, and how to name others.

    Example: da2k models list
    """
    from json import dumps

    from da2k.cli.tables import print_table
    from da2k.models.registry import ADAPTERS, zoo

    if json:
        typer.echo(dumps({name: entry.model_dump(mode="json") for name, entry in zoo().items()}, indent=1))
        return
    rows = [
        [
            name,
            entry.kind,
            entry.licence,
            entry.status,
            entry.parameters or "",
            "" if entry.da2k_accuracy is None else f"{entry.da2k_accuracy:.1f}",
        ]
        for name, entry in zoo().items()
    ]
    print_table(["model", "kind", "licence", "status", "parameters", "DA-2K % reported"], rows, text=4)
    typer.echo(f"Any other model: {', '.join(f'{prefix}:…' for prefix in ADAPTERS)}; see da2k evaluate --help")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name from `da2k models list`.", show_default=False)],
    json: Json = False,
) -> None:
    """Print what is known about a model.

    Example: da2k models show depth-anything-v2-small
    """
    from da2k.models.registry import zoo_entry

    entry = zoo_entry(name)
    if json:
        typer.echo(entry.model_dump_json(indent=1))
        return
    fields = {"name": name, **entry.model_dump(mode="json", exclude_none=True)}
    for key, value in fields.items():
        text = ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        if text:
            typer.echo(f"{key + ':':<16} {text}")
