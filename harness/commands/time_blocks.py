"""What a speed gate asks of a side: to train in blocks when told to. Hidden, since people have no use for it."""

from typing import Any

import click

from harness.commands.common import GlobalOptions
from harness.commands.plan import plan_options, planned, where_to_run


@click.command(help=__doc__, hidden=True)
@plan_options
@click.pass_obj
def command(given: GlobalOptions, /, **options: Any) -> None:
    """Serve requests on stdin until there are no more."""
    from harness.commits.timed_side import serve

    serve(planned(given, where_to_run(given, options), **options))
