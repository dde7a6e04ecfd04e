"""Random intervals, so that not everything happens at the same time."""

import random


def getRandomInterval(midpoint, range=5):
    """Seconds, an integer from `midpoint - range` to `midpoint + range - 1`."""
    return random.randrange(max(midpoint - range, 0), midpoint + range)
