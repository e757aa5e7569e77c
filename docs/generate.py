"""Generate those pages of `docs/`, and those scripts of `packaging/`, that follow from the code.

`pipeline.md` comes from `trunkline.core.pipeline`, `northbound.md` from the schema, `cli.md` from the
program's own help, `metrics.md`, alert rules and dashboard from `trunkline.metrics.table`, and the scripts by
which a shell completes from `trunkline completion`.

`scripts/docs` runs this. Without arguments, the pages are written. With `--check`, nothing is written, and
the exit code is 1 if a page is not current.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from sentences import COLUMNS, TABLES

from trunkline.cli.completion import SHELLS
from trunkline.cli.main import trunkline
from trunkline.cli.neutron import trunkline_neutron
from trunkline.cli.option import COMPLETE
from trunkline.core import pipeline
from trunkline.core.cookie import COOKIE_OURS, Subject
from trunkline.core.flow import Field
from trunkline.core.pipeline import Band, Owner, Table
from trunkline.core.table_rule import TABLE_RULES
from trunkline.insight.meaning import MEANING
from trunkline.manifest.form import KIND, schema
from trunkline.metrics.generated import dashboard, rules
from trunkline.metrics.table import METRICS, alerts
from trunkline.northbound.schema import SCHEMA_PATH

ROOT = Path(__file__).parents[1]

_HELP_WIDTH = 100


def _mark(source: str) -> str:
    return f"<!-- Generated from {source} by scripts/docs; a change here is lost. -->"


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return a Markdown table; cells are text, with bars escaped."""
    columns = list(heads)
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return [
        *(f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns))),
        *(f"| {' | '.join(line)} |" for line in cells),
        "",
    ]


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words) or "–"


# -- pipeline ----------------------------------------------------------------------------------------------


def pipeline_page() -> str:
    """Return the page of tables, registers, bands and cookies."""
    lines = [
        _mark("src/trunkline/core/pipeline.py and src/trunkline/insight/meaning.py"),
        "# The pipeline",
        "",
        "This page lists the flows of the integration bridge. A frame enters at table 0 and goes on to "
        "tables with higher numbers. After a priority tag was removed, it goes through the same "
        "table once more. A frame that matches no other flow of a table is dropped. The cache of the "
        "kernel's datapath looks into an IPv6 jumbogram, which `NO_UPPER_LAYER` refuses "
        "([test-matrix.md](test-matrix.md#what-differs-on-the-kernels-datapath)).",
        "",
        "## Tables",
        "",
        *_table(
            ("id", "table", "decides", "goes on to"),
            (
                (
                    table.value,
                    f"`{table.name}`",
                    rule.decides,
                    _code(each.name for each in sorted(rule.next_tables)),
                )
                for table, rule in TABLE_RULES.items()
            ),
        ),
        "## Registers",
        "",
        *_table(("name", "field", "holds"), _registers()),
        "## What the flows of a table may do",
        "",
        "`trunkline.core.violation` checks flows against this table. Tests check every flow of every app.",
        "",
        *_table(
            ("table", "match", "write", "output", "tags"),
            (
                (
                    f"`{table.name}`",
                    _fields(rule.matches),
                    _fields(rule.writes),
                    "yes" if rule.may_output else "no",
                    "yes" if rule.may_tag else "no",
                )
                for table, rule in TABLE_RULES.items()
            ),
        ),
        "## Bands",
        "",
        "A band is the flows of one app in one table at one priority. No two flows of a band overlap. In "
        "each table, the flow of the highest band that a frame matches decides. The rules are those of "
        "[frames.md](frames.md). `trunkline flows` shows what each band has counted, and `trunkline "
        "explain` what to do about it.",
        "",
        *_bands(),
        *_cookies(),
    ]
    return "\n".join(lines)


def _registers() -> Iterator[tuple[str, str, str]]:
    """Yield the name, field and docstring of each of the module's fields."""
    for name, words in _docstrings(pipeline):
        value = getattr(pipeline, name)
        if isinstance(value, Field):
            yield f"`{name}`", f"`{value.name.lower()}`", " ".join(words.split())


def _docstrings(module: Any) -> Iterator[tuple[str, str]]:
    """Yield the constants of *module* that have a docstring, with it, in order."""
    body = ast.parse(Path(module.__file__).read_text()).body
    for statement, following in pairwise(body):
        match statement, following:
            case ast.Assign(targets=[ast.Name(name)]), ast.Expr(ast.Constant(str() as words)):
                yield name, cleandoc(words)


def _fields(fields: Iterable[Field]) -> str:
    return _code(sorted(field.name.lower() for field in fields))


def _bands() -> Iterator[str]:
    for table in Table:
        yield from (f"### {table.value} {table.name}", "")
        bands = sorted((band for band in Band if band.table is table), key=lambda band: -band.priority)
        yield from _table(
            ("priority", "band", "app", "flows", "rules"),
            (
                (
                    band.priority,
                    f"`{band.name}`",
                    _app(band.owner),
                    band.purpose,
                    ", ".join(map(str, MEANING[band].rules)),
                )
                for band in bands
            ),
        )


def _app(owner: Owner) -> str:
    return f"`{owner.name.lower()}`"


def _cookies() -> Iterator[str]:
    yield from ("## Cookies", "")
    yield "A cookie says that a flow is ours, which app made it, and from which row it was made."
    yield ""
    ours = COOKIE_OURS >> 48
    yield from _table(
        ("bits", "hold"),
        (
            ("63–48", f"`{ours:#x}`: the flow is ours; the agent touches no other flow"),
            ("47–40", "app: " + ", ".join(f"{owner.value} {_app(owner)}" for owner in Owner)),
            ("39–32", "kind of row: " + ", ".join(f"{kind.value} {kind.name.lower()}" for kind in Subject)),
            ("31–0", "the row's unique key; for the chassis 0; for a shared MAC its network's key"),
        ),
    )


# -- northbound --------------------------------------------------------------------------------------------


def northbound_page() -> str:
    """Return the page of the schema's tables and columns.

    Raises:
        KeyError: a table or column has no sentence, or a sentence no column.
    """
    schema = json.loads(SCHEMA_PATH.read_text())
    tables: dict[str, Any] = schema["tables"]
    _require_equal("tables", tables, TABLES)
    lines = [
        _mark("src/trunkline/northbound/trunkline-nb.ovsschema and docs/sentences.py"),
        "# The northbound database",
        "",
        f'`{schema["name"]}`, version {schema["version"]}. Every row also has a `_uuid`. "0 or 1" is an '
        "optional value. `-o json` shows the default in place of an empty value, null if there is no "
        "default or with `--raw`, and a reference by name.",
        "",
    ]
    for name, table in tables.items():
        lines += _northbound_table(name, table)
    return "\n".join(lines)


def _require_equal(what: str, found: Iterable[str], described: Iterable[str]) -> None:
    differing = set(found) ^ set(described)
    if differing:
        raise KeyError(
            f"docs/sentences.py and the schema differ in the {what} {', '.join(sorted(differing))}"
        )


def _northbound_table(name: str, table: Any) -> Iterator[str]:
    columns = table["columns"]
    _require_equal(f"columns of {name}", columns, COLUMNS[name])
    yield from (f"## {name}", "", TABLES[name], "")
    for index in table.get("indexes", []):
        columns_together = " and ".join(f"`{column}`" for column in index)
        yield f"* Unique: {columns_together}{' together' if index[1:] else ''}."
    if table.get("maxRows"):
        yield f"* At most {table['maxRows']} row{'s' if table['maxRows'] > 1 else ''}."
    if not table.get("isRoot"):
        yield "* The database deletes a row that no other row refers to."
    yield ""
    yield from _table(
        ("column", "type", "meaning"),
        (
            (
                f"`{column}`",
                _type(spec["type"]) + ("; not kept over a restart" if spec.get("ephemeral") else ""),
                COLUMNS[name][column],
            )
            for column, spec in columns.items()
        ),
    )


def _type(type_: Any) -> str:
    """Return the column type *type_* (RFC 7047 section 3.2) in words."""
    if isinstance(type_, str):
        return type_
    key = _base(type_["key"])
    least, most = type_.get("min", 1), type_.get("max", 1)
    if "value" in type_:
        return f"map of {key} to {_base(type_['value'])}"
    if most == "unlimited" or most > 1:
        return f"set of {key}"
    return f"0 or 1 {key}" if least == 0 else key


def _base(base: Any) -> str:
    if isinstance(base, str):
        return base
    if "refTable" in base:
        return f"{base.get('refType', 'strong')} reference to `{base['refTable']}`"
    if "enum" in base:
        return " or ".join(f"`{word}`" for word in base["enum"][1])
    kind = str(base["type"])
    if kind == "integer" and "minInteger" in base:
        return (
            f"integer {base['minInteger']}–{base['maxInteger']}"
            if "maxInteger" in base
            else (f"integer from {base['minInteger']}")
        )
    if "maxLength" in base:
        least, most = base.get("minLength", 0), f"{base['maxLength']:,}"
        return f"{kind} of {least if least == base['maxLength'] else f'{least}–{most}'} characters"
    return f"{kind}, not empty" if base.get("minLength") else kind


# -- command line ------------------------------------------------------------------------------------------


def cli_page() -> str:
    """Return the page of every command's help."""
    lines = [_mark("the help of src/trunkline/cli"), "# The commands", ""]
    for program, called in ((trunkline, "trunkline"), (trunkline_neutron, "trunkline-neutron")):
        for path, command, context in commands(program, called, None):
            lines += [f"## {path}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines)


def commands(
    command: click.Command, path: str, parent: click.Context | None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield the path of *command* and of all below it, each with a context to ask for its help."""
    context = click.Context(
        command,
        parent,
        info_name=path.rpartition(" ")[2],
        terminal_width=_HELP_WIDTH,
        **command.context_settings,
    )
    yield path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from commands(inner, f"{path} {name}", context)


# -- all ---------------------------------------------------------------------------------------------------


def manifest_schema() -> str:
    """Return the JSON Schema of the documents of `trunkline apply`, with a sentence for each column."""
    wanted: dict[str, Any] = json.loads(json.dumps(schema()))
    for kind in wanted["oneOf"]:
        for column, value in kind["properties"].items():
            if column != KIND:
                value["description"] = COLUMNS[kind["title"]][column].replace("`", "")
    comment = "Generated from src/trunkline/manifest/form.py by scripts/docs; a change here is lost."
    shown = {"$schema": wanted.pop("$schema"), "$comment": comment} | wanted
    return json.dumps(shown, indent=2, ensure_ascii=False)


def completion(shell: str) -> Callable[[], str]:
    """Return what returns the script by which *shell* completes, as packages install it."""
    return lambda: SHELLS[shell](trunkline, {}, "trunkline", COMPLETE).source()


# -- metrics -----------------------------------------------------------------------------------------------


def metrics_page() -> str:
    """Return the page of metrics and alerts."""
    return "\n".join(
        [
            _mark("src/trunkline/metrics/table.py"),
            "# Metrics",
            "",
            "`trunkline metrics` serves what Prometheus scrapes of a chassis, at 127.0.0.1:9176 unless "
            "`--listen` says otherwise. The unit `trunkline-metrics` runs it as the user of the agent; its "
            "options are in METRICS_OPTIONS in `/etc/default/trunkline-metrics`. `trunkline metrics --once` "
            "prints the metrics. Anyone who can connect can read them. They name networks and physical "
            "networks, and no port, as a chassis may have thousands. With `--ports REGEX`, the ports of this "
            "chassis whose whole name matches have metrics of their own: those with the label `port`.",
            "",
            "Have Prometheus scrape it as the job `trunkline`, every 15 s, with the rules of "
            "`packaging/prometheus/trunkline.rules.yml`. Import `packaging/grafana/trunkline.json` into "
            "Grafana. The package trunkline-agent has them in `/usr/share/trunkline`. Both "
            "are generated from the same table as this page, and a test runs each of their "
            "queries on a real Prometheus.",
            "",
            "At each scrape it asks the agent one question. It reads the flows of networks, and those by "
            "which port security drops, from the switch, and the names of networks from the northbound; with "
            "`--ports`, also the flows by which ports send and receive, and the names of those here. Each "
            "of the three may be away, or may not let it in: its metrics are then left out, its gauge is 0, "
            "and one line on standard error says why.",
            "",
            "With 1,000 local ports of 10,000 and 36,219 flows, a scrape costs the agent 2.1 to 3 ms of "
            "CPU: 0.02 % of a CPU at one every 15 s. It costs ovs-vswitchd 30 ms, the northbound's "
            "server 1 ms and the process itself 32 ms. With `--ports '.*'` it is 550 kB instead of 15, "
            "and costs the agent the same, ovs-vswitchd 44 ms, the northbound's server 13 ms and the "
            "process 93 ms. `scripts/bench metrics` measures that: the medians of 9 rounds of 10 "
            "scrapes, on a busy machine. If one of the agent's own audits fell into a round, that round "
            "showed up to 23 ms a scrape for it.",
            "",
            *_table(
                ("metric", "kind", "labels", "from", "is"),
                (
                    (f"`{each.exposed}`", each.kind, _code(each.labels), each.source, each.help)
                    for each in METRICS
                ),
            ),
            "## Alerts",
            "",
            *_table(
                ("alert", "severity", "after", "if", "what to do"),
                (
                    (f"`{each.name}`", each.severity, each.lasting, f"`{each.query}`", each.remedy)
                    for each in alerts()
                ),
            ),
        ]
    )


PAGES: dict[str, Callable[[], str]] = {
    "docs/metrics.md": metrics_page,
    "packaging/prometheus/trunkline.rules.yml": rules,
    "packaging/grafana/trunkline.json": dashboard,
    "docs/pipeline.md": pipeline_page,
    "docs/northbound.md": northbound_page,
    "docs/cli.md": cli_page,
    "docs/manifest.schema.json": manifest_schema,
    "packaging/completion/trunkline.bash": completion("bash"),
    "packaging/completion/_trunkline": completion("zsh"),
    "packaging/completion/trunkline.fish": completion("fish"),
}
"""The generated pages and scripts, by path."""


def page(name: str) -> str:
    """Return the text of the page *name*, without white space at the ends of lines."""
    return "\n".join(line.rstrip() for line in PAGES[name]().strip().splitlines()) + "\n"


def stale() -> list[str]:
    """Return the names of the pages that are not what they would be."""
    return [name for name in PAGES if not (ROOT / name).exists() or (ROOT / name).read_text() != page(name)]


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` compare them; return the exit code."""
    if arguments not in ([], ["--check"]):
        print("scripts/docs: the only option is --check", file=sys.stderr)
        return 2
    names = stale()
    if arguments:
        if names:
            print(f"scripts/docs: {', '.join(names)} not current; run scripts/docs", file=sys.stderr)
        return 1 if names else 0
    for name in names:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(page(name))
        print(f"{name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
