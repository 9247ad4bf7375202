"""`chairtime`: the command line. Each command stands in `deploy/commands/`."""

from collections.abc import Callable, Sequence
from typing import Final

import typer

from deploy.commands import attention, course, dead_letters, doctor, events, init, preparing, running
from deploy.commands.terminal import EXITS, Exit, fail
from deploy.local.server_process import CannotStart
from deploy.operating.kafka_account import KafkaTrouble
from deploy.operating.services import NotAllowed, ServiceRefused, Unreachable
from shared.configuration.settings import Misconfigured

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Clinic chair time in which booking, prepayment and texts cannot disagree.",
    epilog=EXITS,
)
COMMANDS: Final[dict[str, dict[str, Callable[..., None]]]] = {
    "Try it": {"up": running.up, "demo": running.demo},
    "Prepare": {
        "init": init.init,
        "check": preparing.check,
        "topics": preparing.topics,
        "migrate": preparing.migrate,
        "setup": preparing.setup,
    },
    "Look": {"doctor": doctor.doctor, "course": course.course, "lag": events.lag},
    "Events": {"publish": events.publish, "export-schemas": events.export_schemas},
}
GROUPS: Final = {
    "dead-letters": dead_letters.dead_letters,
    "attention": attention.attention,
    "texts": attention.texts,
}
for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(command)
for name, group in GROUPS.items():
    app.add_typer(group, name=name, rich_help_panel="Settle")


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
    except ServiceRefused as error:
        fail(str(error))
