"""The report as one page of HTML: nothing is loaded from anywhere. Pure."""

from collections.abc import Iterator, Sequence
from html import escape

from aerostat.simulator.report import drawing, sums
from aerostat.simulator.report.figures import Figure, dialect_words, figures
from aerostat.simulator.report.rows import Study
from aerostat.simulator.report.tables import Table, family_table, mean_table
from aerostat.units import format_size

DATA = {
    "results.parquet": "every row, for pandas, polars, DuckDB",
    "results.csv": "the same as text",
    "results.json": "the same with the command line and what the families are",
}
"""The files beside the page, and what is in them."""

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1em; max-width: 70em;
color: #1d2733; background: #fff } a { color: #0b5cad }
h1 { margin: .5em 0 } h2 { margin-top: 2em } .quiet { color: #51606f; max-width: 50em }
pre { background: #f3f5f7; padding: .7em 1em; white-space: pre-wrap; overflow-wrap: anywhere;
border-radius: 6px }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #dde3ea }
th { font-weight: 600; white-space: nowrap } th:first-child, td:first-child { text-align: left }
tr.ours { font-weight: 700; background: #fdf1ea }
.panels { display: grid; gap: 1em; grid-template-columns: repeat(auto-fill, minmax(18em, 1fr)) }
.panels.houses { grid-template-columns: repeat(auto-fill, minmax(21em, 1fr)) }
.panels svg { width: 100%; max-width: 32em; height: auto; display: block }
.key { display: flex; flex-wrap: wrap; gap: 0 .4em } details { margin: .6em 0 }
summary { cursor: pointer; font-weight: 600 } li { margin: .2em 0 }
@media (prefers-color-scheme: dark) { body { color: #e8edf3; background: #14191f }
a { color: #7ab8ff } .quiet { color: #a9b5c4 } pre { background: #1e262e }
th, td { border-color: #29323c } tr.ours { background: #33231a } }
"""


def page(study: Study) -> str:
    """Return the text of ``index.html``."""
    policies = sums.policies(study.rows)
    drawn = figures(study)
    title = escape(f"Simulation: {study.scenario}")
    parts = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}{drawing.style(policies)}</style>",
        f"<h1>{title}</h1>",
        f"<p>{escape(_about(study))}</p>",
        f"<pre>{escape(study.command)}</pre>",
        *(f'<p class="quiet">{escape(note)}</p>' for note in study.notes),
        *_summaries(study),
        *(_figure(figure) for figure in drawn),
        *_families(study),
        "<h2>Files</h2>",
        _files(drawn),
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _about(study: Study) -> str:
    """Return in a sentence what was run."""
    rows = study.rows
    seeds = sorted({seed for row in rows for seed in row.seeds})
    lengths = sorted({row.seconds for row in rows})
    budgets = sorted({row.budget for row in rows})
    tags = [dialect_words(dialect) for dialect in sums.dialects(rows)]
    counted = [
        _counted(len(sums.families(rows)), "family", "families"),
        _counted(len(sums.policies(rows)), "policy", "policies"),
        _counted(len(seeds), "seed", "seeds") + f" ({', '.join(map(str, seeds))})",
    ]
    return (
        f"{', '.join(counted)}; guests that tell {', '.join(tags)}; houses of "
        f"{', '.join(map(format_size, budgets))} for "
        f"{', '.join(f'{length:.0f} s' for length in lengths)} each. "
        f"Simulated by aerostat {study.version}."
    )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _summaries(study: Study) -> Iterator[str]:
    """Yield the means over families, where there are several."""
    count = len(sums.families(study.rows))
    if count < 2:
        return
    for dialect in sums.dialects(study.rows):
        rows = [row for row in study.rows if row.dialect == dialect]
        title = f"All families, {dialect_words(dialect)}"
        yield _table(mean_table(title, sums.means(rows, dialect), count))


def _figure(figure: Figure) -> str:
    key = "".join(
        panel.svg().replace("<svg ", f'<svg width="{panel.width:.0f}" ', 1)
        for panel in figure.key()
    )
    kind = "panels houses" if figure.name.startswith("house") else "panels"
    link = f'<a href="{figure.name}.svg">{figure.name}.svg</a>'
    return (
        f"<h2>{escape(figure.title)}</h2>\n"
        f'<p class="quiet">{escape(figure.words)} {link}</p>\n'
        f'<div class="key">{key}</div>\n'
        f'<div class="{kind}">{"".join(panel.svg() for panel in figure.panels)}</div>'
    )


def _families(study: Study) -> Iterator[str]:
    yield "<h2>Families</h2>"
    families = sums.families(study.rows)
    several = len(sums.dialects(study.rows)) > 1
    for family in families:
        tables = [
            family_table(dialect_words(dialect) if several else family, lines)
            for dialect in sums.dialects(study.rows)
            if (lines := sums.lines(study.rows, family, dialect))
        ]
        words = escape(study.words.get(family, ""))
        is_open = " open" if len(families) == 1 else ""
        yield (
            f"<details{is_open}><summary>{escape(family)}</summary>\n<p>{words}</p>\n"
            + "\n".join(_table(table, heading="h4") for table in tables)
            + "</details>"
        )


def _table(table: Table, heading: str = "h2") -> str:
    head = f"<{heading}>{escape(table.title)}</{heading}>\n" if table.title else ""
    titles = "".join(f"<th>{escape(title)}</th>" for title in table.titles)
    rows = "".join(
        f"<tr{_kind(table, row)}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in table.rows
    )
    return (
        f'{head}<div class="wide"><table><tr>{titles}</tr>\n{rows}</table></div>\n'
        f'<p class="quiet">{escape(table.words)}</p>'
    )


def _kind(table: Table, row: tuple[str, ...]) -> str:
    return ' class="ours"' if table.is_ours(row) else ""


def _files(drawn: Sequence[Figure]) -> str:
    told = {**DATA, **{f"{figure.name}.svg": figure.title for figure in drawn}}
    items = "".join(
        f'<li><a href="{name}">{name}</a>: {escape(words)}</li>\n' for name, words in told.items()
    )
    return f"<ul>\n{items}</ul>"
