"""Exactly N requests, over all users of all processes.

Every user takes one request out of the budget before it sends one, and stops when there is none
left. In one process the budget is a counter. In many, the master lends its counter out in small
leases: workers that answer faster, or have more users, get more, and the sum stays exact.

Users are greenlets: nothing here is interrupted except where it waits, so no locks are needed.
"""

from collections import Counter
from collections.abc import Callable

from gevent.event import Event

LARGEST_LEASE = 200
# A worker asks for its next lease when so few requests are left, so that its users need not wait for it.
ASK_BELOW = 50


class LocalBudget:
    """The budget of a test that runs in one process."""

    def __init__(self, requests: int) -> None:
        self._left = requests

    def take(self) -> bool:
        """Takes one request; False when all are taken."""
        if self._left == 0:
            return False
        self._left -= 1
        return True


class LeasedBudget:
    """The budget of a worker. `ask` sends the master a request for a lease; `grant` is its answer."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._left = 0
        self._closed = False
        self._answer: Event | None = None

    @property
    def left(self) -> int:
        """Requests that were leased and not taken yet."""
        return self._left

    def take(self) -> bool:
        """Takes one request; False when all are taken. May wait."""
        while True:
            if self._left <= ASK_BELOW and not self._closed and self._answer is None:
                self._answer = Event()
                self._ask()
            if self._left > 0:
                self._left -= 1
                return True
            if self._answer is None:
                return False
            self._answer.wait()

    def grant(self, requests: int) -> None:
        """Adds a lease. None at all means that the master has none left."""
        self._left += requests
        self._closed = requests == 0
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set()


class Lender:
    """The budget of a master, who lends all of it to workers."""

    def __init__(self, requests: int) -> None:
        self._left = requests
        self._outstanding: Counter[str] = Counter()
        self._written_off: set[str] = set()

    def lend(self, worker: str, workers: int) -> int:
        """The size of the next lease of one of so many workers; 0 when nothing is left.

        Leases shrink towards the end, so that no worker finishes long after the others.
        """
        if worker in self._written_off:
            return 0
        lease = min(self._left, LARGEST_LEASE, max(1, self._left // (2 * max(1, workers))))
        self._left -= lease
        self._outstanding[worker] += lease
        return lease

    def settle(self, worker: str, requests: int) -> bool:
        """Takes note that so many leased requests have their answer. False when they are not to be
        counted, because the worker was written off."""
        if worker in self._written_off:
            return False
        self._outstanding[worker] -= requests
        return True

    def write_off(self, alive: set[str]) -> int:
        """Gives up the leases of workers that are no longer there, and returns how many requests they
        held. Some of these may have been sent, so they are never lent again."""
        lost = 0
        for worker in [worker for worker in self._outstanding if worker not in alive]:
            lost += self._outstanding.pop(worker)
            self._written_off.add(worker)
        return lost
