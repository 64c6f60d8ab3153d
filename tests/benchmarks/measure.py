"""Runs a command and says what it took; the median of several runs, so that one disturbance decides nothing."""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Took:
    wall: float     # seconds
    cpu: float      # seconds, user and system, of the command and what it started
    memory: int     # bytes, the largest resident set

    @property
    def utilisation(self):
        """How much of all cores was used, of 1."""
        return self.cpu / self.wall / os.cpu_count()


def once(command):
    """Runs `command`, which must succeed."""
    null = subprocess.DEVNULL
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=null, stdin=null)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f'bench: failed: {" ".join(map(str, command))}')
    return Took(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def median(command, runs, before):
    """Runs `command` several times, `before` each, and returns the median of each figure."""
    took = []
    for _ in range(runs):
        before()
        # What the preparation wrote is no part of the measurement.
        os.sync()
        took.append(once(command))
    middle = lambda figure: statistics.median(getattr(it, figure) for it in took)
    return Took(middle('wall'), middle('cpu'), max(it.memory for it in took))
