"""How long to wait, so that not everybody does the same at the same time."""

import random


def getRandomInterval(midpoint, range=5):
    """A whole number of seconds, up to `range` below the midpoint or just short of as many above."""
    return random.randrange(max(midpoint - range, 0), midpoint + range)
