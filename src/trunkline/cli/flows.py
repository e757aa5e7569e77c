"""`trunkline flows`: the flows of this chassis, in words."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.name import NETWORKS, PORTS, among
from trunkline.cli.option import NOT_EMPTY, Seconds, with_output
from trunkline.cli.output import Sheet, print_data, print_table, printable
from trunkline.cli.place import inquiry, with_afar, with_chassis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trunkline.core.pipeline import Owner, Table
    from trunkline.insight.connection import InstalledFlow
    from trunkline.insight.flow import Count, Rates, Selection
    from trunkline.insight.inquiry import Inquiry

APPS = ("classifier", "port_security", "l2", "provider")
BAND = ("band", "table", "priority", "app", "flows", "packets", "bytes", "purpose")
FLOW = (
    *("explain", "table", "band", "priority", "app", "row:kind", "row:name", "match", "actions"),
    *("packets", "bytes", "age_s", "words:match", "words:does"),
)
"""The columns of a list of flows, by their names in JSON; by the first, `explain` knows a flow."""

DEFAULT_WATCH_S = 2.0


def _tables() -> list[str]:
    from trunkline.core.pipeline import Table

    return [table.name.lower() for table in Table]


@click.command()
@click.option(
    "--table",
    "table_word",
    type=NOT_EMPTY,
    metavar="T",
    shell_complete=among(_tables),
    help="Flows of one table, by its number or name.",
)
@click.option(
    "--network",
    type=NOT_EMPTY,
    metavar="N",
    shell_complete=NETWORKS,
    help="Flows that were made from one network.",
)
@click.option(
    "--port", type=NOT_EMPTY, metavar="P", shell_complete=PORTS, help="Flows that were made from one port."
)
@click.option("--app", type=click.Choice(APPS), help="Flows that one app made.")
@click.option("--drops", is_flag=True, help="Flows that have dropped frames, those that dropped most first.")
@click.option(
    "--sort",
    type=click.Choice(["table", "packets"]),
    help="By table and priority, or first those that met most frames.  [default: table; of drops: packets]",
)
@click.option(
    "--watch",
    "watch_s",
    type=Seconds(),
    is_flag=False,
    flag_value=DEFAULT_WATCH_S,
    metavar="[S]",
    help=f"Show again every S seconds ({DEFAULT_WATCH_S:g} unless given), with rates.",
)
@click.option("--raw", is_flag=True, help="As ovs-ofctl spells them, for other programs.")
@with_chassis
@with_afar
@with_output
@click.pass_context
def flows(
    ctx: click.Context,
    table_word: str | None,
    network: str | None,
    port: str | None,
    app: str | None,
    drops: bool,
    sort: str | None,
    watch_s: float | None,
    raw: bool,
    ovs_remote: str | None,
    afar: str | None,
    output: str,
) -> None:
    """Show the flows on this chassis' switch, in words, and what they counted.

    Without a filter: one line for each band. A band is a kind of flow; docs/pipeline.md lists them. With one:
    one line for each flow. A flow that Trunkline did not make is shown as FOREIGN.

    The switch is asked directly, so the agent may be busy, or down. With --chassis, the agent of another
    chassis asks its switch. Its answer has room for some thousand flows: choose some.

    \b
    Examples:
      trunkline flows                        what there is, by band
      trunkline flows --drops                which frames are dropped, of whom, and by which rule
      trunkline flows --port vm1 --watch     what happens with one VM's frames just now
      trunkline flows --chassis c1 --drops   which frames another chassis drops
    """
    from trunkline.insight.flow import Rates

    if watch_s == 0:
        raise click.UsageError("give a number of seconds above 0 to watch by")
    if raw and output != "table":
        raise click.UsageError(f"--raw and -o {output} are two formats; give one of them")
    if watch_s is not None and afar is not None:
        raise click.UsageError(
            "each question to another chassis is written to the northbound: watch on the chassis itself"
        )
    with inquiry(ctx, ovs_remote, afar) as asked:
        selection = asked.selection(_table(table_word), _owner(app), network, port)
        view = _View(asked, selection, drops, sort or ("packets" if drops else "table"), raw, output)
        if watch_s is None:
            view.show(None)
            return
        rates = Rates()
        try:
            while True:
                view.show(rates)
                # Time itself is what is measured: there is nothing else to wait for.
                time.sleep(watch_s)
        except KeyboardInterrupt:
            return


class _View:
    """What is shown, once or again and again."""

    def __init__(
        self, asked: Inquiry, selection: Selection, drops: bool, sort: str, raw: bool, output: str
    ) -> None:
        self._asked = asked
        self._selection = selection
        self._drops = drops
        self._by_packets = sort == "packets"
        self._raw = raw
        self._output = output
        self._is_noted = False

    def show(self, rates: Rates | None) -> None:
        """Read the flows, and show them."""
        if self._selection.is_all and not (self._drops or self._by_packets or self._raw):
            counts = self._asked.counts(rates)
            self._clear(rates)
            self._show_counts(counts, rates)
        else:
            found = self._asked.flows(self._selection, are_drops=self._drops)
            if rates is not None:
                rates.note(found, time.monotonic())
            self._clear(rates)
            (self._show_raw if self._raw else self._show_lines)(found, rates)
        sys.stdout.flush()

    def _clear(self, rates: Rates | None) -> None:
        if rates is not None and self._output == "table" and sys.stdout.isatty():
            click.clear()

    def _show_raw(self, found: list[InstalledFlow], _: Rates | None) -> None:
        from trunkline.insight.flow import in_order
        from trunkline.insight.raw import line

        for flow in in_order(found, by_packets=self._by_packets):
            click.echo(line(flow))

    def _show_counts(self, shown: list[Count], rates: Rates | None) -> None:
        from trunkline.insight.flow import document

        if self._output != "table":
            told = document("bands", shown, self._asked.chassis.bridge, None)
            self._print(told, told["bands"], BAND, rates)
            return
        rows = [
            [
                _place(count.kind.table),
                count.kind.name,
                f"{count.flows:,}",
                f"{count.packets:,}",
                *_rate(count.rate, rates),
                "made by another program" if count.kind.band is None else count.kind.band.purpose,
            ]
            for count in shown
        ]
        columns = ["TABLE", "BAND", "FLOWS", "PACKETS", *_rate_column(rates), "FOR"]
        print_table(rows, columns, folds=True)
        click.echo(
            printable(f"{sum(count.flows for count in shown):,} flows on {self._asked.chassis.bridge}")
        )

    def _show_lines(self, found: list[InstalledFlow], rates: Rates | None) -> None:
        from trunkline.insight.flow import document, in_order, lines
        from trunkline.insight.name import Names

        found = in_order(found, by_packets=self._by_packets)
        names = self._asked.names(found) if found else Names()
        shown = list(lines(found, names, rates))
        if self._output != "table":
            told = document("flows", shown, self._asked.chassis.bridge, names)
            self._print(told, told["flows"], FLOW, rates)
        else:
            rows = [
                [
                    _place(line.kind.table),
                    line.kind.name,
                    line.row or "",
                    line.matches,
                    line.does,
                    f"{line.flow.counters.packet_count:,}",
                    *_rate(line.rate, rates),
                    *([line.place] if self._drops else []),
                ]
                for line in shown
            ]
            columns = ["TABLE", "BAND", "ROW", "MATCH", "DOES", "PACKETS", *_rate_column(rates)]
            columns += ["EXPLAIN"] if self._drops else []
            if rows:
                # What explain takes is to be copied, so it is whole, and leaves its width to the others.
                print_table(rows, columns, ends_in_prose=self._drops, folds=True)
            else:
                click.echo(self._nothing())
        self._tell_names()

    def _nothing(self) -> str:
        return "no frame was dropped by a flow" if self._drops else "there is no such flow on this chassis"

    def _tell_names(self) -> None:
        from trunkline.cli.column import in_options

        if self._asked.note is not None and not self._is_noted:
            self._is_noted = True
            click.echo(printable(in_options(self._asked.note)), err=True)

    def _print(
        self, data: Any, rows: Sequence[Mapping[str, Any]], columns: tuple[str, ...], rates: Rates | None
    ) -> None:
        """Print a document; of those that come again and again, each is a line of JSON or a part of YAML."""
        if rates is not None and self._output == "json":
            click.echo(json.dumps(data))
            return
        if rates is not None and self._output == "yaml":
            click.echo("---")
        more = () if rates is None else ("packets_per_s",)
        print_data(data, self._output, Sheet(rows, (*columns, *more)))


def _place(table_id: int) -> str:
    from trunkline.core.pipeline import Table

    name = next((table.name for table in Table if table.value == table_id), "")
    return f"{table_id:<2} {name}".rstrip()


def _rate(rate: float | None, rates: Rates | None) -> list[str]:
    return [] if rates is None else ["" if rate is None else f"{rate:,.0f}"]


def _rate_column(rates: Rates | None) -> list[str]:
    return [] if rates is None else ["/s"]


def _table(word: str | None) -> Table | None:
    from trunkline.core.pipeline import Table
    from trunkline.insight.flow import table_named

    found = None if word is None else table_named(word)
    if word is not None and found is None:
        known = ", ".join(f"{each.value} {each.name}" for each in Table)
        raise click.UsageError(f"there is no table {word!r}; the tables are {known}")
    return found


def _owner(app: str | None) -> Owner | None:
    from trunkline.core.pipeline import Owner

    return None if app is None else Owner[app.upper()]
