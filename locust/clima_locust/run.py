"""One test, as seen by the process it runs in: alone, as a worker, or as the master of workers.

A worker sends the master what it has counted together with each request for a lease, and once more
when it has nothing under way. The test is over when every request of the budget has its answer.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from clima_locust.budget import LeasedBudget, Lender, LocalBudget
from clima_locust.tally import Tally


class Requests(Protocol):
    """What a user needs of the test that it takes part in."""

    def take(self) -> bool:
        """Takes one request out of the budget; False when there is none left."""

    def record(self, failure: str | None, milliseconds: float | None) -> None:
        """Counts the answer of a request that was taken; see Tally.add."""


class Total:
    """The sum of a test: how many requests were wanted, and what has become of them so far."""

    def __init__(self, requests: int, finished: Callable[[], None]) -> None:
        self.requests = requests
        self.tally = Tally()
        self._finished = finished
        self._started = self._last_answer = time.monotonic()

    @property
    def duration_s(self) -> float:
        """From the start to the last answer."""
        return self._last_answer - self._started

    @property
    def passed(self) -> bool:
        return self.tally.failed == 0 and self.tally.accepted == self.requests

    def _counted(self) -> None:
        self._last_answer = time.monotonic()
        if self.tally.answered == self.requests:
            self._finished()


class LocalRun(Total):
    """A test that runs in this process alone."""

    def __init__(self, requests: int, finished: Callable[[], None]) -> None:
        super().__init__(requests, finished)
        self._budget = LocalBudget(requests)

    def take(self) -> bool:
        return self._budget.take()

    def record(self, failure: str | None, milliseconds: float | None) -> None:
        self.tally.add(failure, milliseconds)
        self._counted()


class MasterRun(Total):
    """A test whose requests are sent by workers."""

    def __init__(self, requests: int, finished: Callable[[], None]) -> None:
        super().__init__(requests, finished)
        # Tells the messages of this test from late ones of the test before.
        self.id = uuid.uuid4().hex
        self._lender = Lender(requests)

    def on_report(self, worker: str, report: dict[str, Any], workers: int) -> dict[str, Any] | None:
        """Counts what a worker reports, and returns the message that grants the lease it asks for."""
        if report["run"] != self.id:
            return None
        part = Tally.from_message(report["tally"])
        if part.answered and self._lender.settle(worker, part.answered):
            self.tally.merge(part)
            self._counted()
        if not report["ask"]:
            return None
        return {"run": self.id, "requests": self._lender.lend(worker, workers)}

    def on_alive(self, workers: set[str]) -> None:
        """Gives up on workers that died with a lease, so that the test ends without them."""
        lost = self._lender.write_off(workers)
        if lost:
            self.tally.lose(lost)
            self._counted()


class WorkerRun:
    """This process's part of a test that a master leads. `send` takes a report to the master."""

    def __init__(self, run_id: str, send: Callable[[dict[str, Any]], None]) -> None:
        self._id = run_id
        self._send = send
        self._tally = Tally()
        self._under_way = 0
        self._budget = LeasedBudget(lambda: self.report(ask=True))

    def take(self) -> bool:
        taken = self._budget.take()
        self._under_way += taken
        return taken

    def record(self, failure: str | None, milliseconds: float | None) -> None:
        self._tally.add(failure, milliseconds)
        self._under_way -= 1
        if self._under_way == 0 and self._budget.left == 0:
            self.report()

    def report(self, ask: bool = False) -> None:
        """Sends what was counted since the last report."""
        tally, self._tally = self._tally, Tally()
        self._send({"run": self._id, "ask": ask, "tally": tally.to_message()})

    def on_grant(self, grant: dict[str, Any]) -> None:
        if grant["run"] == self._id:
            self._budget.grant(grant["requests"])
