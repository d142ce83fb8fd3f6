"""How many threads training takes: as many as there are free cores, not more.

On a machine with other load, more threads than free cores make training several times slower:
the threads of one operator wait for each other.
"""

import os

from training.ranks import local_count


def free_cores() -> int:
    """Cores this process may use, less those that were busy over the last minute; at least 1."""
    usable = len(os.sched_getaffinity(0))
    return max(1, usable - round(os.getloadavg()[0]))


def thread_count(configured: int) -> int:
    """The configured number of threads, or this rank's share of the free cores where it is 0."""
    return configured or max(1, free_cores() // local_count())
