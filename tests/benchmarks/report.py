"""What a run gave, as a table and as a picture."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

LABELS: Final = {"chairtime": "Chairtime", "floor": "by hand, the floor", "usual": "FastStream as usual"}
BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"


@dataclass(frozen=True, slots=True)
class Trial:
    """One contender's turn. Seconds are of the whole trial; `waits`, sorted, are from payment to confirmed."""

    name: str
    courses: int
    seconds: float
    cpu_seconds: float
    postgres_seconds: float
    waits: list[float]
    a_second: float | None

    @property
    def rate(self) -> float:
        """Courses a second."""
        return self.courses / self.seconds

    def percentile(self, share: float) -> float:
        """Of the waits, in milliseconds."""
        return 1000 * self.waits[min(len(self.waits) - 1, int(share * len(self.waits)))]

    def __str__(self) -> str:
        paced = f" at {self.a_second:g} a second" if self.a_second else ""
        return (
            f"{self.name}{paced}: {self.rate:.0f} courses a second, {1000 * self.cpu_seconds / self.courses:.2f} ms"
            f" CPU a course, PostgreSQL {1000 * self.postgres_seconds / self.courses:.2f} ms, payment to confirmed"
            f" {self.percentile(0.5):.0f} / {self.percentile(0.99):.0f} ms"
        )


def show(trials: list[Trial]) -> str:
    """The table, in Markdown."""
    free = [trial for trial in trials if trial.a_second is None]
    rate = {name: median(t.rate for t in free if t.name == name) for name in LABELS}
    cpu = {name: median(1000 * t.cpu_seconds / t.courses for t in free if t.name == name) for name in LABELS}
    database = {name: median(1000 * t.postgres_seconds / t.courses for t in free if t.name == name) for name in LABELS}
    waits = {trial.name: trial for trial in trials if trial.a_second is not None}
    lines = [
        "| | courses a second | CPU a course | PostgreSQL's CPU a course | payment to confirmed at 20/s, p50 / p99 |",
        "|---|---|---|---|---|",
    ]
    for name, label in LABELS.items():
        paced = waits.get(name)
        wait = f"{paced.percentile(0.5):.0f} / {paced.percentile(0.99):.0f} ms" if paced else "cannot keep up"
        shown = f"{rate[name]:.0f}" if rate[name] >= 20 else f"{rate[name]:.1f}"
        lines.append(f"| {label} | {shown} | {cpu[name]:.2f} ms | {database[name]:.2f} ms | {wait} |")
    lines += [
        "",
        f"Chairtime does {rate['chairtime'] / rate['floor']:.2f} of the floor's courses a second with"
        f" {cpu['chairtime'] / cpu['floor']:.1f} times its CPU, and {rate['chairtime'] / rate['usual']:.0f} times those"
        " of the usual way.",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine()}.",
        "",
    ]
    return "\n".join(lines)


def machine() -> str:
    """Where this was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[2]
    parts = [f"{p} {version(p)}" for p in ("faststream", "aiokafka", "pydantic", "SQLAlchemy", "asyncpg")]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, load {load:.1f} in the last 15 minutes,"
        f" {platform.system()} {platform.release()}, Python {platform.python_version()}, Kafka 4.3.1, PostgreSQL 18"
        f" with fsync, {', '.join(parts)}"
    )


def write(trials: list[Trial], docs: Path) -> None:
    """Put the table between its marks in `performance.md`, and draw the picture beside it."""
    page = docs / "performance.md"
    text = page.read_text()
    head, rest = text.split(BEGIN)
    page.write_text(f"{head}{BEGIN}\n{show(trials)}{END}{rest.split(END)[1]}")
    (docs / "performance.svg").write_text(draw(trials))


def draw(trials: list[Trial]) -> str:
    """Bars: courses a second, and CPU a course, of each contender's median."""
    free = [trial for trial in trials if trial.a_second is None]
    rate = {name: median(t.rate for t in free if t.name == name) for name in LABELS}
    cpu = {name: median(1000 * t.cpu_seconds / t.courses for t in free if t.name == name) for name in LABELS}
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 250" font-family="sans-serif" font-size="14">\n'
        '<rect width="720" height="250" fill="#ffffff"/>\n'
        + _bars("courses a second (longer is better)", rate, 0, "{:.0f}")
        + _bars("ms of CPU a course (shorter is better)", cpu, 125, "{:.1f}")
        + "</svg>\n"
    )


def _bars(title: str, values: dict[str, float], top: int, form: str) -> str:
    longest = max(values.values())
    rows = [f'<text x="16" y="{top + 24}" font-weight="bold">{title}</text>']
    for row, (name, value) in enumerate(values.items()):
        y, width = top + 36 + 26 * row, max(2, 430 * value / longest)
        colour = "#1f6f5c" if name == "chairtime" else "#9aa5a1"
        rows += [
            f'<text x="16" y="{y + 15}">{LABELS[name]}</text>',
            f'<rect x="180" y="{y}" width="{width:.0f}" height="20" fill="{colour}"/>',
            f'<text x="{188 + width:.0f}" y="{y + 15}">{form.format(value)}</text>',
        ]
    return "\n".join(rows) + "\n"
