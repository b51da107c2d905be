"""What a speed gate asks of a side: to train in blocks when told to. Hidden, since people have no use for it."""

from typing import Any

import click

from harness.commands.plan import plan_options, planned, where_to_run
from harness.commands.session import Session


@click.command(help=__doc__, hidden=True)
@plan_options
@click.pass_obj
def command(session: Session, /, **options: Any) -> None:
    """Serve requests on stdin until there are no more."""
    from harness.commits.timed_side import serve

    serve(planned(session, where_to_run(session, options), **options))
