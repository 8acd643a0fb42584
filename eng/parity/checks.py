"""Figures beside their limits, and whether one was passed."""

import sys

_failed = False


def check(what, value, limit):
    global _failed
    _failed |= not value <= limit
    print(f"{'ok  ' if value <= limit else 'FAIL'} {what:58} {value:.3e}   limit {limit:.1e}")


def finish():
    sys.exit(1 if _failed else 0)
