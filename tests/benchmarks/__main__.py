"""`make bench`: the whole story by the services, by hand and as usual, in one run, on one Kafka and one PostgreSQL.

The contenders take turns, so that what else the machine does hits all of them; what counts are the ratios.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from statistics import median

from deploy.local.kafka.node import KafkaNode
from deploy.local.postgres import EmbeddedPostgres
from deploy.preparing.databases import provision
from tests.benchmarks import floor, usual
from tests.benchmarks.report import Trial, show, write
from tests.benchmarks.servers import (
    REPOSITORY,
    SERVICES,
    Contender,
    checked_out,
    cpu_seconds_below,
    fresh_databases,
    fresh_topics,
    postmaster,
    running,
)
from tests.benchmarks.story import TEXTS, Clinics, courses, write_profiles

LOCATIONS = 100
CHAIRTIME = Contender("chairtime", {s: f"services.{s}" for s in SERVICES}, lambda url, s: provision(url, suffix=s))
CONTENDERS = (CHAIRTIME, floor.CONTENDER, usual.CONTENDER)


class Bench:
    """One run: its servers, its profiles, and the trials so far."""

    def __init__(
        self, home: Path, kafka: str, postgres: EmbeddedPostgres, contenders: Sequence[Contender] = CONTENDERS
    ) -> None:
        self._home = home
        self._kafka = kafka
        self._postgres = postgres
        self._templates = {c.name: c.prepare(postgres.url, f"_{c.name}") for c in contenders}
        write_profiles(home / "profiles", LOCATIONS, REPOSITORY / "deploy" / "clinics")

    def trial(self, contender: Contender, count: int, warm: int, a_second: float | None = None) -> Trial:
        """One contender on fresh topics and databases, warmed up first."""
        asyncio.run(fresh_topics(self._kafka))
        supply = courses(LOCATIONS, date.today())  # noqa: DTZ011 - any day will do
        with (
            fresh_databases(self._postgres.url, self._templates[contender.name]) as databases,
            running(contender, self._kafka, databases, self._home / "profiles", self._home) as processes,
        ):
            clinics = Clinics(self._kafka)
            try:
                clinics.play(list(islice(supply, warm)))
                processes.wait_for_texts(warm * TEXTS)
                cpu, database = processes.cpu_seconds(), cpu_seconds_below(postmaster(self._postgres))
                began = time.perf_counter()
                played = clinics.play(list(islice(supply, count)), a_second)
                processes.wait_for_texts((warm + count) * TEXTS)
                return Trial(
                    contender.name,
                    count,
                    time.perf_counter() - began,
                    processes.cpu_seconds() - cpu,
                    cpu_seconds_below(postmaster(self._postgres)) - database,
                    sorted(played.waits),
                    a_second,
                )
            finally:
                clinics.close()


def beside(bench: Bench, there: Contender, courses: int, rounds: int) -> None:
    """Here and there in turns, each first every other round; ratios pair by pair, of courses a second and of CPU."""
    bench.trial(there, courses, warm=200)  # the first turn would pay for Kafka's compiler
    pairs: list[tuple[Trial, Trial]] = []
    for number in range(rounds):
        order = (CHAIRTIME, there) if number % 2 == 0 else (there, CHAIRTIME)
        turns = {contender.name: bench.trial(contender, courses, warm=200) for contender in order}
        pairs.append((turns[CHAIRTIME.name], turns[there.name]))
        sys.stderr.write(f"{pairs[-1][0]}\n{pairs[-1][1]}\n")
    speed = sorted(mine.rate / other.rate for mine, other in pairs)
    cpu = sorted(mine.cpu_seconds / other.cpu_seconds for mine, other in pairs)
    for name, ratios in (("courses a second", speed), ("CPU a course", cpu)):
        sys.stdout.write(f"{name}, here / there: {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})\n")


def main() -> None:
    """Run all trials, show the table; with `--write` keep it in the documentation."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--courses", type=int, default=2000, help="courses of one trial (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="how often all take their turn (default: %(default)s)")
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="CHECKOUT",
        help="only play the services here and those of another checkout, in turns",
    )
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its picture")
    wanted = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="chairtime-bench-"))
    postgres = EmbeddedPostgres(home / "postgres")
    trials: list[Trial] = []
    try:
        with postgres, KafkaNode(home / "kafka") as kafka:
            if wanted.beside is not None:
                there = checked_out(wanted.beside.resolve())
                beside(Bench(home, kafka, postgres, (CHAIRTIME, there)), there, wanted.courses, wanted.rounds)
                return
            bench = Bench(home, kafka, postgres)
            bench.trial(floor.CONTENDER, wanted.courses, warm=200)  # the first turn would pay for Kafka's compiler
            for _ in range(wanted.rounds):
                for contender in (CHAIRTIME, floor.CONTENDER):
                    trials.append(bench.trial(contender, wanted.courses, warm=200))
                    sys.stderr.write(f"{trials[-1]}\n")
                trials.append(bench.trial(usual.CONTENDER, max(20, wanted.courses // 50), warm=4))
                sys.stderr.write(f"{trials[-1]}\n")
            for contender in (CHAIRTIME, floor.CONTENDER):
                trials.append(bench.trial(contender, 200, warm=200, a_second=20))
                sys.stderr.write(f"{trials[-1]}\n")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    sys.stdout.write(show(trials))
    if wanted.write:
        write(trials, REPOSITORY / "docs")


if __name__ == "__main__":
    main()
