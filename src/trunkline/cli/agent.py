"""`trunkline agent`: the chassis daemon."""

from __future__ import annotations

import click

from trunkline.cli.name import files


@click.command()
@click.option(
    "--ovs",
    "ovs_remote",
    metavar="REMOTE",
    help="The switch's database, such as unix:PATH.  [default: unix:$OVS_RUNDIR/db.sock]",
)
@click.option("--detach", is_flag=True, help="Run in the background; return when the settings are read.")
@click.option("--pidfile", metavar="FILE", shell_complete=files, help="Write the process id to FILE.")
@click.option(
    "--unixctl",
    metavar="FILE",
    shell_complete=files,
    help="The control socket.  [default: $OVS_RUNDIR/trunkline-agent.PID.ctl]",
)
@click.option(
    "--log-file",
    metavar="FILE",
    shell_complete=files,
    help="Log to FILE.  [default: standard error, or no log with --detach]",
)
@click.option(
    "--cleanup",
    is_flag=True,
    help="Remove all that the agent made on this chassis (flows, patch ports, br-int), and exit.",
)
def agent(detach: bool, cleanup: bool, **places: str | None) -> None:
    """Configure the switch of this chassis as the northbound says, and follow all changes.

    The settings are in external_ids of the local Open_vSwitch row; changes take effect at once. system-id and
    trunkline-nb are required. Optional are trunkline-bridge-mappings, trunkline-integration-bridge,
    trunkline-datapath-type, trunkline-vlan-pruning, trunkline-answers, trunkline-audit-interval and
    trunkline-nb-identity. When the agent ends, the switch keeps forwarding.

    \b
    Ask a running agent with ovs-appctl:
      ovs-appctl -t $OVS_RUNDIR/trunkline-agent.PID.ctl status | flows | plan | recompute | vlog/set | exit

    \b
    Examples:
      trunkline agent --detach --pidfile /run/openvswitch/trunkline-agent.pid
      trunkline agent --cleanup  take all of it off this chassis
    """
    # Before anything else imports the `ovs` package: this checks that it is one that the agent can work with.
    import trunkline.runtime.private  # noqa: F401
    from trunkline.process import daemon

    options = daemon.Options(is_detached=detach, **places)
    if cleanup:
        from trunkline.process.cleanup import clean_up

        for line in clean_up(options):
            click.echo(line)
    else:
        daemon.run(options)
