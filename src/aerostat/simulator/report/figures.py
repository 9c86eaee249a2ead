"""Which pictures a report has, in their order: a figure is a row of panels and a file. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from aerostat.simulator.report import houses, pictures, sums
from aerostat.simulator.report.drawing import Panel, legend, sheet
from aerostat.simulator.report.rows import Recorded, Row, Study

_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """Panels that belong together."""

    name: str
    """Of its file, without the suffix."""
    title: str
    words: str
    panels: tuple[Panel, ...]
    policies: tuple[str, ...]
    with_legend: bool = False
    columns: int = _COLUMNS

    def key(self) -> list[Panel]:
        """Return which policy is drawn how, where the panels do not say it themselves."""
        return legend(self.policies) if self.with_legend else []

    def svg(self) -> str:
        """Return the text of its file."""
        return sheet(self.title, self.panels, self.columns, self.policies, self.key())


def figures(study: Study) -> list[Figure]:
    """Return the figures of a study: those for which there are rows."""
    several = len(sums.dialects(study.rows)) > 1
    made: list[Figure] = []
    for dialect in sums.dialects(study.rows):
        rows = [row for row in study.rows if row.dialect == dialect]
        suffix = f"-{dialect}" if several else ""
        title = f" ({dialect_words(dialect)})" if several else ""
        made += [
            replace(figure, name=figure.name + suffix, title=figure.title + title)
            for figure in _of_dialect(rows, dialect)
        ]
    return [*made, *_of_houses(study.houses)]


def dialect_words(dialect: str) -> str:
    """Return what a dialect is called in titles: ``10 tags``, ``windows``."""
    return f"{dialect} tags" if dialect.isdigit() else dialect


def _of_dialect(rows: Sequence[Row], dialect: str) -> Iterator[Figure]:
    names = tuple(sums.policies(rows))
    families = sums.families(rows)
    tables = {family: sums.lines(rows, family, dialect) for family in families}

    def each(draw: Callable[[str], Panel]) -> tuple[Panel, ...]:
        return tuple(draw(family) for family in families)

    if any(line.density for lines in tables.values() for line in lines):
        yield Figure(
            "density",
            "Density",
            "The most guests on a host that are not harmed. The dashed line is the oracle's, which "
            "knows what every guest will want.",
            each(lambda family: pictures.density_bars(family, tables[family])),
            names,
        )
    if any(line.equal for lines in tables.values() for line in lines):
        yield Figure(
            "harm",
            "Harm at equal density",
            "The share of their work that guests lose, on average, where each policy has as many.",
            each(lambda family: pictures.harm_bars(family, tables[family])),
            names,
        )
    if len({(row.family, row.guests) for row in rows}) > len(families):
        yield Figure(
            "fronts",
            "Density against harm",
            "Each number of guests that was tried; hollow where something was killed for want of "
            "memory. Lower and further right is better; the wide pale steps are the front of all "
            "but the oracle.",
            each(lambda family: pictures.fronts(family, rows)),
            names,
            with_legend=True,
        )
    yield from _degradation(rows, families, names)


def _degradation(
    rows: Sequence[Row], families: Sequence[str], names: tuple[str, ...]
) -> Iterator[Figure]:
    for of, what in (("loss", "lost"), ("delay", "old")):
        panels = (pictures.degradation(family, rows, of) for family in families)
        drawn = tuple(panel for panel in panels if panel is not None)
        if drawn:
            yield Figure(
                f"samples-{what}",
                f"Where samples are {what}",
                "The mean slowdown of guests whose statistics reach the policy so.",
                drawn,
                names,
                with_legend=True,
            )


def _slug(name: str) -> str:
    """Return a name as it may stand in a file's: scenarios of one's own are called anything."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)


def _of_houses(recorded: Sequence[Recorded]) -> Iterator[Figure]:
    """Yield a figure a family, each policy beside the others on the same scales."""
    for family in dict.fromkeys(house.family for house in recorded):
        shown = [house for house in recorded if house.family == family]
        memory, held = houses.highest(shown), houses.highest_held(shown)
        harm = houses.highest_harm(shown)
        yield Figure(
            f"house-{_slug(family)}",
            f"A house over time: {family}",
            "All guests together above, each as a layer below; the same guests under each policy.",
            (
                *(houses.summed(house, memory, harm) for house in shown),
                *(houses.stacked(house, held, harm) for house in shown),
            ),
            tuple(house.policy for house in shown),
            columns=len(shown),
        )
