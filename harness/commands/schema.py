"""The JSON Schema of suite files, for editors and other programs."""

import json

import click


@click.command()
def command() -> None:
    """Print the JSON Schema of suite files.

    An editor that knows TOML checks and completes a suite with it: put "#:schema FILE" on its first line.
    """
    from harness.suite.schema import SuiteFile

    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    click.echo(json.dumps(dialect | SuiteFile.model_json_schema(mode="validation"), indent=2))
