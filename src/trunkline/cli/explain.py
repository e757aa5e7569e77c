"""`trunkline explain`: why a flow is there."""

from __future__ import annotations

import click

from trunkline.cli.option import NOT_EMPTY, with_output
from trunkline.cli.output import Sheet, print_data, printable
from trunkline.cli.place import inquiry, with_afar, with_chassis

_COLUMNS = ("band", "table", "priority", "rules", "says", "remedy")


@click.command()
@click.argument("flow", type=NOT_EMPTY, metavar="COOKIE[,table=T][,priority=P]")
@with_chassis
@with_afar
@with_output
@click.pass_context
def explain(ctx: click.Context, flow: str, ovs_remote: str | None, afar: str | None, output: str) -> None:
    """Say why a flow is on this chassis' switch: its rule, the row that it was made from, what to do.

    A cookie says which app made a flow, and from which row; a row has several flows. Table and priority say
    which. A line of ovs-ofctl dump-flows can be pasted as it is.

    \b
    Examples:
      trunkline explain 0x747202020000002a
      trunkline explain 0x747202020000002a,table=10,priority=300
    """
    from trunkline.cli.column import in_options
    from trunkline.core.error import TrunklineError
    from trunkline.insight.explanation import asked, data, explanations

    wanted = asked(flow)
    with inquiry(ctx, ovs_remote, afar) as question:
        found = [each for each in question.flows_of(wanted.cookie) if wanted.has(each)]
        if not found:
            raise TrunklineError(
                f"{question.chassis.bridge} has no flow {wanted}; `trunkline flows --raw` lists those it has"
            )
        names = question.names(found)
        explained = list(explanations(found, names, question.chassis.bridge))
        if output != "table":
            told = data(explained, wanted)
            print_data(told, output, Sheet(told["explanations"], _COLUMNS))
        else:
            for each in explained:
                head, *more = each.says
                click.echo(printable(head))
                for line in more:
                    click.echo(f"  {printable(line)}")
                if each.remedy is not None:
                    click.echo(f"  {printable(in_options(each.remedy))}")
        if question.note is not None:
            click.echo(printable(in_options(question.note)), err=True)
