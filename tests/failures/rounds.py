"""How often a fault is played: once in every run of the tests, as often as its promise wants when asked.

CHAIRTIME_ROUNDS is a number of rounds for every fault, or `full`; CHAIRTIME_SEED is the first round's seed (1), which
stands in the test's name. Of a fault that comes 300 times and breaks nothing it can be said, with 95 % confidence, that
it breaks something less than once in a hundred times; of 1000, in 300.
"""

import os


def rounds(full: int) -> range:
    """The seed of each round. `full`: how many there are when all are asked for."""
    asked = os.environ.get("CHAIRTIME_ROUNDS", "1")
    first = int(os.environ.get("CHAIRTIME_SEED", "1"))
    return range(first, first + (full if asked == "full" else int(asked)))
