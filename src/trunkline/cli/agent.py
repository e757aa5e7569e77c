"""`trunkline agent`: the chassis daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trunkline.cli.name import files
from trunkline.cli.option import NOT_EMPTY
from trunkline.cli.output import printable
from trunkline.cli.place import with_chassis

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command()
@with_chassis
@click.option("--detach", is_flag=True, help="Run in the background; return when the settings are read.")
@click.option(
    "--pidfile", type=NOT_EMPTY, metavar="FILE", shell_complete=files, help="Write the process id to FILE."
)
@click.option(
    "--unixctl",
    type=NOT_EMPTY,
    metavar="FILE",
    shell_complete=files,
    help="The control socket.  [default: $OVS_RUNDIR/trunkline-agent.PID.ctl]",
)
@click.option(
    "--log-file",
    type=NOT_EMPTY,
    metavar="FILE",
    shell_complete=files,
    help="Log to FILE.  [default: standard error, or no log with --detach]",
)
@click.option(
    "--cleanup",
    is_flag=True,
    help="Remove all that the agent made on this chassis (flows, patch ports, br-int), and exit.",
)
@click.option(
    "--take-over",
    "takes_over",
    is_flag=True,
    help="Replace the flows of Neutron's Open vSwitch agent, which is stopped, and exit.",
)
@click.option(
    "--dry-run", "is_dry", is_flag=True, help="With --take-over: change nothing; exit code 4 if it would."
)
def agent(detach: bool, cleanup: bool, takes_over: bool, is_dry: bool, **places: str | None) -> int:
    """Configure the switch of this chassis as the northbound says, and follow all changes.

    The settings are in external_ids of the local Open_vSwitch row; changes take effect at once. system-id and
    trunkline-nb are required. Optional are trunkline-bridge-mappings, trunkline-integration-bridge,
    trunkline-datapath-type, trunkline-vlan-pruning, trunkline-answers, trunkline-probe,
    trunkline-audit-interval and trunkline-nb-identity. When the agent ends, the switch keeps forwarding.

    \b
    Ask a running agent with ovs-appctl:
      ovs-appctl -t $OVS_RUNDIR/trunkline-agent.PID.ctl status | flows | plan | recompute | vlog/set | exit

    \b
    Examples:
      trunkline agent --detach --pidfile /run/openvswitch/trunkline-agent.pid
      trunkline agent --cleanup              take all of it off this chassis
      trunkline agent --take-over --dry-run  what would change on a host of Neutron's agent
    """
    # Before anything else imports the `ovs` package: this checks that it is one that the agent can work with.
    import trunkline.runtime.private  # noqa: F401
    from trunkline.process import daemon

    if is_dry and not takes_over:
        raise click.UsageError("--dry-run is for --take-over")
    if takes_over and cleanup:
        raise click.UsageError("--take-over and --cleanup are two commands; give one of them")
    options = daemon.Options(is_detached=detach, **places)
    if cleanup:
        from trunkline.process.cleanup import clean_up

        for line in clean_up(options):
            click.echo(line)
    elif takes_over:
        from trunkline.process.takeover import take_over

        return _shown(take_over(options, is_dry=is_dry), is_dry=is_dry)
    else:
        daemon.run(options)
    return 0


def _shown(lines: Iterator[str], *, is_dry: bool) -> int:
    """Print *lines*, and return the exit code."""
    from trunkline.cli.main import EXIT_NO

    is_needed = False
    for line in lines:
        is_needed |= not line.startswith("nothing to do")
        click.echo(printable(line))
    return EXIT_NO if is_dry and is_needed else 0
