"""The progress of a run: a live view in a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from gamsearch.runs.forecast import RunForecast
from gamsearch.runs.output import Output
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.tasks import DETECT

LAST_TRIALS = 12


class RunProgress:
    """Progress of a whole run on `console`; use it as a context manager.

    It displays the stage, the current trial and its epochs, the last trials with their gain over the baseline, the best
    gain so far and the time left.

    Attributes:
        terse: Print only what is better than all before: a replay has hundreds of trials a second.
        metric: Name of the metric in which gains are shown.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Output()
        self.live = self.console.is_terminal
        self.terse = False
        self.metric = DETECT.primary
        self.begun = time.monotonic()
        self.rows: list[tuple[str, str, str, str]] = []
        self.best: tuple[float, str] | None = None
        self.label, self.used = "", 0.0
        self.search_budget: SearchBudget | None = None
        self.forecast: RunForecast | None = None
        self.timed, self.certain = 0, True
        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
        self.task = self.bar.add_task("", total=1, figures="")
        self.view = Live(console=self.console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> "RunProgress":
        if self.live:
            self.view.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.live:
            self.view.stop()

    def say(self, text: str) -> None:
        """Print one line that stays above the live view.

        Args:
            text: The line, printed as it is.
        """
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def started(self, number: int, label: str, used: float, search_budget: SearchBudget) -> None:
        """Show that a trial starts.

        Args:
            number: The trial's number.
            label: Its architecture in words.
            used: Amount of the search budget used so far, in the budget's unit.
            search_budget: The budget.
        """
        self.label, self.used, self.search_budget = label, used, search_budget
        left = f"  ({text})" if self.forecast and (text := self.forecast.training()) else ""
        self.bar.reset(self.task, description=f"trial {number}  {label}", figures="")
        if not (self.live or self.terse):
            self.say(f"[{self._clock()}] trial {number}: {label}{left}")

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """Show that an epoch of the current training ended.

        Args:
            epoch: The epoch, from 1.
            epochs: The epochs of a full training.
            metrics: Validation metrics by name, as fractions.
        """
        figures = "  ".join(f"{k} {v:.4f}" for k, v in metrics.items())
        self.bar.update(self.task, total=epochs, completed=epoch, figures=f"epoch {epoch}/{epochs}  {figures}")
        if figures and not (self.live or self.terse):
            self.say(f"[{self._clock()}]   epoch {epoch}/{epochs}  {figures}")

    def ended(self, number: int, outcome: str, gain: float | None) -> None:
        """Show that a trial ended.

        Args:
            number: The trial's number.
            outcome: How it ended, in words.
            gain: Its primary metric minus the baseline's, as a fraction, or None if it was not validated to the end.
        """
        text = "" if gain is None else f"{gain:+.4f}"
        better = gain is not None and number > 0 and (self.best is None or gain > self.best[0])
        if gain is not None and better:
            self.best = (gain, self.label)
        self.rows.append((str(number), self.label, outcome, text))
        if self.terse and better:
            self.say(f"best so far: {text} with {self.label} (trial {number})")
        elif not (self.live or self.terse):
            self.say(f"[{self._clock()}] trial {number} {outcome}{f', gain {text}' if text else ''}")

    def started_baseline(self) -> None:
        """Show that the baseline stage starts."""
        self.bar.reset(self.task, description="baseline stage", figures="")
        if not self.live:
            self.say(f"[{self._clock()}] baseline stage")

    def baseline_epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float], certain: bool = True) -> None:
        """Show that an epoch of the baseline stage ended, and after the first, second, fourth, ... how long all takes.

        Args:
            epoch: The epoch, from 1.
            epochs: The epochs of the stage.
            metrics: Validation metrics by name, as fractions; empty where it was not validated.
            certain: Whether the stage has that many epochs, or at most that many.
        """
        self.epoch(epoch, epochs, metrics)
        if self.forecast is not None:
            text = self.forecast.baseline_epoch(epochs - epoch, certain)
            first, renewed = self.timed == 0, self.timed & (self.timed + 1) == 0 or certain != self.certain
            if first or (renewed and not self.live):  # the live view always has it
                self.say(f"[{self._clock()}] {text}")
            self.timed, self.certain = self.timed + 1, certain

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self.begun)
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"

    def _render(self) -> Group:
        table = Table(box=None, padding=(0, 2, 0, 0))
        gain = f"gain {self.metric}"
        for column in ("trial", "architecture", "outcome", gain):
            table.add_column(column, justify="right" if column in ("trial", gain) else "left")
        for row in self.rows[-LAST_TRIALS:]:
            table.add_row(*(Text(cell) for cell in row))
        best = f"best so far {self.best[0]:+.4f} with {self.best[1]}" if self.best else "no candidate evaluated yet"
        used = f"{self.search_budget.state(self.used)} used; " if self.search_budget else ""
        expected = f"{self.forecast.text}; " if self.forecast and self.forecast.text else ""
        head = f"{self._clock()}  {expected}{used}{best}"
        return Group(Text(head, style="bold"), table, self.bar)
