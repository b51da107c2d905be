"""Write a plugin to start from."""

from pathlib import Path
from typing import cast

import click

from harness.commands.common import FOLDER, note
from harness.scaffold import Writable, write_plugin


@click.command()
@click.argument("kind", type=click.Choice(["algorithm", "environment"]))
@click.argument("name")
@click.option(
    "--into", "parent", type=FOLDER, default=Path(), help="Folder to write it in; the current one unless given."
)
def command(kind: str, name: str, parent: Path) -> None:
    """Write a plugin that installs and passes `harness check`, in a new folder harness-NAME."""
    folder = write_plugin(cast(Writable, kind), name, parent)
    click.echo(folder)
    note(f"next: pip install -e {folder} && harness check {name}")
