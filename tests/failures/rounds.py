"""How often a fault is played: once in every run of the tests, as often as its promise wants when asked.

CHAIRTIME_ROUNDS is a number of rounds for every fault, or `full`; CHAIRTIME_SEED is the first round's seed (1), which
stands in the test's name. Of a fault that comes 300 times and breaks nothing it can be said, with 95 % confidence, that
it breaks something less than once in a hundred times; of 1000, in 300.
"""

import os

_ASKED = os.environ.get("CHAIRTIME_ROUNDS", "1")


def rounds(full: int) -> range:
    """The seed of each round. `full`: how many there are when all are asked for."""
    first = int(os.environ.get("CHAIRTIME_SEED", "1"))
    return range(first, first + amount(int(_ASKED) if _ASKED != "full" else 0, full))


def amount(few: int, full: int) -> int:
    """How many of something one round plays; `full` when all are asked for."""
    return full if _ASKED == "full" else few
