"""The `slicerxai` command: names its subcommands without importing them, and turns errors into exit codes.

Exit codes: 0 success, 1 an unexpected failure, 2 something in the user's hands, 130 cancelled.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from slicerxai import __version__
from slicerxai.errors import Cancelled, UserError

COMMANDS = {
    "demo": "From nothing to a report: phantom, training, server, explanation.",
    "phantom": "Write a synthetic MS cohort with known truth.",
    "validate": "List every problem of a cohort at once.",
    "regions": "Find the McDonald region of every lesion of a cohort.",
    "train": "Train a segmenter or a classifier on a cohort.",
    "models": "List the trained models, show a model's card.",
    "infer": "Segment or classify one scan.",
    "alarm": "Fit the alarm of a model: which predictions should be read again.",
    "realism": "Learn what a model's images look like, to judge counterfactuals.",
    "explain": "Explain a prediction; one subcommand for each method.",
    "batch": "Explain or segment every case of a cohort, on this machine or a cluster.",
    "experiment": "Attribute drops between raters or between centres, whole.",
    "serve": "Start the MONAI Label server with the explain routes.",
    "view": "Open the radiologist's workflow in a browser.",
    "audit": "Show who did what on the server, of all studies or of one.",
    "backup": "Save what cannot be computed again; the server may go on.",
    "restore": "Put a backup in place.",
    "dicom": "List a DICOMweb server's MR series, or store a result there.",
    "doctor": "Check this installation and say what to fix.",
    "completion": "Print the script that completes commands in your shell.",
}
UNUSABLE_PATH = (PermissionError, FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)


class LazyGroup(click.Group):
    """A group whose commands are imported only when they are used, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"slicerxai.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="slicerxai")
@click.option("--traceback", "show_traceback", is_flag=True, help="Show the traceback of an unexpected failure.")
@click.pass_context
def cli(context: click.Context, show_traceback: bool) -> None:
    """Why a medical-imaging model decided, whether to trust it here, and what broke elsewhere.

    For research use only.
    """
    context.obj = {"traceback": show_traceback}


def main() -> None:
    """Entry point."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:  # noqa: PLR0911 - one return for each exit code
    """Run one command line. Returns the exit code."""
    try:
        code = cli.main(list(arguments), standalone_mode=False, prog_name="slicerxai")
    except click.ClickException as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            click.echo(error.format_message())
            return 2
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(error.ctx.get_usage(), err=True)
        return _fail(error.format_message(), 2, arguments)
    except UserError as error:
        return _fail(str(error), 2, arguments)
    except UNUSABLE_PATH as error:
        return _fail(f"{error.strerror}: {error.filename}", 2, arguments)
    except (Cancelled, KeyboardInterrupt, click.Abort):
        return _fail("cancelled", 130, arguments)
    except Exception as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        message = f"unexpected {type(error).__name__}: {error} (slicerxai --traceback … shows where)"
        return _fail(message, 1, arguments)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int, arguments: Sequence[str]) -> int:
    """Say what went wrong on stderr; when JSON was asked for, on stdout as JSON too."""
    click.echo(f"Error: {message}", err=True)
    if "--json" in arguments:
        click.echo(json.dumps({"error": message}))
    return code


if __name__ == "__main__":
    main()
