"""The show around the trials: what is printed and drawn, where, and in which order.

Touches the terminal, and the file for a picture.
"""

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from aerostat.daemon.manager import Watcher
from aerostat.demo import summary
from aerostat.demo.interrupts import EndedError, Interrupts
from aerostat.demo.outcome import Outcome
from aerostat.demo.recorder import Recorder
from aerostat.demo.scenario import Setting
from aerostat.demo.trial import Terms, Trial, check_machine
from aerostat.errors import UsageError
from aerostat.tui.lines import PlainLines
from aerostat.tui.live import LiveView, can_draw
from aerostat.tui.sink import Narrator, Sink
from aerostat.units import format_size


class Stage:
    """Where a demonstration is shown.

    With `as_json` standard output is for the summary alone, and the rest goes to standard error.
    `noun` is what a guest is called.
    """

    def __init__(self, *, view: bool | None, as_json: bool, record: Path | None, noun: str) -> None:
        drawable = can_draw(Console()) and not as_json
        if view and not drawable:
            raise UsageError("--view needs a terminal, and no --json; leave it out")
        self.draws = drawable and view is not False
        self._record = record
        self._recorder: Recorder | None = None
        self._as_json = as_json
        self._noun = noun
        self._lines = sys.stderr if as_json else sys.stdout

    def say(self, text: str) -> None:
        """Print a line on how it goes."""
        print(text, file=self._lines, flush=True)

    def sink(self) -> Sink:
        """Return what shows the ticks of one trial; of the first a picture is kept."""
        sink = LiveView(Console(), self._noun) if self.draws else PlainLines(self._lines, every=5.0)
        if self._record is None or self._recorder is not None:
            return sink
        self._recorder = Recorder(sink, self._noun)
        return self._recorder

    def finish(self, outcomes: Sequence[Outcome], seed: int) -> None:
        """Write the picture and print the summary."""
        if self._record is not None and self._recorder is not None and self._recorder.svg:
            self._record.write_text(self._recorder.svg, encoding="utf-8")
        if self._as_json:
            print(json.dumps(summary.to_json(outcomes, seed)), flush=True)
        else:
            Console(highlight=False).print(summary.render(outcomes))


def run(settings: Sequence[Setting], terms: Terms, stage: Stage) -> list[Outcome]:
    """Make one trial after the other, show them, and return what came of those that were made.

    Raises `MissingError` before anything is started where something is missing.
    """
    check_machine(settings, terms)
    # Into a view nothing may be printed; it shows what is wrong itself.
    level = logging.CRITICAL if stage.draws else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s")
    return asyncio.run(_run(settings, terms, stage))


async def _run(settings: Sequence[Setting], terms: Terms, stage: Stage) -> list[Outcome]:
    interrupts = Interrupts()
    outcomes: list[Outcome] = []
    with interrupts.caught():
        try:
            for setting in settings:
                stage.say(_introduction(setting, terms))
                outcomes.append(await _one(setting, terms, stage, interrupts))
                if interrupts.asked.is_set():
                    break
        except EndedError as error:
            stage.say(str(error))
        finally:
            # A comparison that fails must not cost what is known already.
            if outcomes:
                stage.finish(outcomes, terms.seed)
    return outcomes


async def _one(setting: Setting, terms: Terms, stage: Stage, interrupts: Interrupts) -> Outcome:
    curtain = Curtain(stage.sink(), interrupts)
    outcome = await Trial(setting, terms, say=stage.say, curtain=curtain).run(interrupts)
    if curtain.trouble is not None:
        raise curtain.trouble
    return outcome


class Curtain:
    """Up while the guests work: what the manager tells is then shown.

    When nothing can be shown any more (the reader of a pipe has gone), the end is asked for.
    """

    def __init__(self, sink: Sink, interrupts: Interrupts) -> None:
        self.trouble: Exception | None = None
        self._interrupts = interrupts
        self._loop = asyncio.get_running_loop()
        self._narrator = Narrator(sink, on_error=self._give_up)

    async def __aenter__(self) -> Watcher:
        self._narrator.start()
        return self._narrator.show

    async def __aexit__(self, *_: object) -> None:
        # A terminal that is stopped with Ctrl-S keeps its thread waiting, and nobody else.
        await asyncio.to_thread(self._narrator.close)

    def _give_up(self, error: Exception) -> None:
        self.trouble = error
        # On the narrator's thread, which may outlive the loop when it was kept waiting.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._interrupts.asked.set)


def _introduction(setting: Setting, terms: Terms) -> str:
    balloons = "their balloons are moved" if setting.manage else "nobody moves their balloons"
    memory, budget = (format_size(size) for size in (setting.memory, terms.budget))
    return (
        f"{setting.title}: {len(setting.guests)} {terms.kind.noun}s of {memory} together work for "
        f"{terms.seconds:g} s; the budget is {budget}, and {balloons}"
    )
