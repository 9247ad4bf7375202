"""`chairtime`: the command line. Each command stands in `deploy/commands/`."""

from collections.abc import Sequence

import typer

from deploy.commands import attention, course, dead_letters, doctor, events, init, preparing, running
from deploy.commands.terminal import EXITS, Exit, fail
from deploy.kafka_account import KafkaTrouble
from deploy.operator import NotAllowed, Refused, Unreachable
from deploy.server_process import CannotStart
from shared.settings import Misconfigured

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Clinic chair time in which booking, prepayment and texts cannot disagree.",
    epilog=EXITS,
)
app.command()(running.up)
app.command()(running.demo)
app.command()(init.init)
app.command()(events.publish)
app.command()(events.lag)
app.command()(preparing.migrate)
app.command()(preparing.topics)
app.command("export-schemas")(events.export_schemas)
app.command()(preparing.setup)
app.command()(preparing.check)
app.command()(doctor.doctor)
app.command()(course.course)
app.add_typer(dead_letters.dead_letters, name="dead-letters")
app.add_typer(attention.attention, name="attention")
app.add_typer(attention.texts, name="texts")


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point. Every expected failure is one line on stderr.

    Args:
        arguments: those of the process when left out.
    """
    try:
        app(arguments, prog_name="chairtime")
    except Misconfigured as error:
        fail(str(error), Exit.CONFIG)
    except (CannotStart, Unreachable) as error:
        fail(str(error), Exit.UNAVAILABLE)
    except NotAllowed as error:
        fail(str(error), Exit.NOT_ALLOWED)
    except KafkaTrouble as error:
        fail(str(error), Exit.NOT_ALLOWED if error.denied else Exit.UNAVAILABLE)
    except Refused as error:
        fail(str(error))
