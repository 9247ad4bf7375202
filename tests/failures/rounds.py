"""How often a fault is caused: a few times in every run, as often as its promise wants when asked.

CHAIRTIME_ROUNDS is a number of rounds for every fault, or `full`. Of a fault that comes 300 times and breaks nothing it
can be said, with 95 % confidence, that it breaks something less than once in a hundred times; of 1000, in 300.
"""

import os


def rounds(few: int, full: int) -> int:
    """How often a fault comes in this run."""
    asked = os.environ.get("CHAIRTIME_ROUNDS")
    return full if asked == "full" else int(asked or few)
