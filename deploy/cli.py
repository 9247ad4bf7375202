"""`chairtime`: the command line. Each command stands in `deploy/commands/`."""

import typer

from deploy.commands import events, preparing, running
from deploy.commands.terminal import Exit, fail
from deploy.server_process import CannotStart
from shared.settings import Misconfigured

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Clinic chair time in which booking, prepayment and texts cannot disagree.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 69 cannot start, 78 a setting or profile is wrong.",
)
app.command()(running.up)
app.command()(running.demo)
app.command()(events.publish)
app.command()(preparing.migrate)
app.command()(preparing.topics)
app.command("export-schemas")(events.export_schemas)
app.command()(preparing.setup)
app.command()(preparing.check)


def main() -> None:
    """The entry point. Every expected failure is one line on stderr."""
    try:
        app()
    except Misconfigured as error:
        fail(str(error), Exit.CONFIG)
    except CannotStart as error:
        fail(str(error), Exit.UNAVAILABLE)
