"""What was answered, and how fast."""

import math
from collections import Counter
from typing import Any, Self


class Tally:
    """Counts answers. Tallies of several processes can be added up without losing anything.

    Latencies are kept in tenths of a millisecond, from 100 ms on in whole milliseconds: fine enough
    for every percentile, and few enough to send.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.failures: Counter[str] = Counter()
        self._latencies: Counter[int] = Counter()
        self._slowest = 0.0

    @property
    def failed(self) -> int:
        return self.failures.total()

    @property
    def answered(self) -> int:
        """All requests whose fate is known."""
        return self.accepted + self.failed

    def add(self, failure: str | None, milliseconds: float | None) -> None:
        """Counts one request: its failure, or None; its latency, or None if there was no answer."""
        if failure is None:
            self.accepted += 1
        else:
            self.failures[failure] += 1
        if milliseconds is not None:
            tenths = round(milliseconds * 10) if milliseconds < 100 else round(milliseconds) * 10
            self._latencies[tenths] += 1
            self._slowest = max(self._slowest, milliseconds)

    def lose(self, requests: int) -> None:
        """Counts requests of which nobody can tell any more what became of them."""
        if requests:
            self.failures["worker lost"] += requests

    def percentile(self, share: float) -> float | None:
        """The latency in milliseconds that `share` (0 to 1) of all answers did not exceed."""
        rank = math.ceil(share * self._latencies.total())
        for tenths in sorted(self._latencies):
            rank -= self._latencies[tenths]
            if rank <= 0:
                return tenths / 10
        return None

    def summary(self, duration_s: float) -> dict[str, Any]:
        """The figures of a test, as they are written to the summary file."""
        return {
            "accepted": self.accepted,
            "failed": self.failed,
            "duration_s": round(duration_s, 3),
            "rps": round(self.answered / duration_s, 1) if duration_s > 0 else None,
            "p50_ms": self.percentile(0.50),
            "p95_ms": self.percentile(0.95),
            "p99_ms": self.percentile(0.99),
            "max_ms": round(self._slowest, 1) if self._latencies else None,
            "failures": dict(self.failures.most_common()),
        }

    def to_message(self) -> dict[str, Any]:
        """Plain values for the wire."""
        return {
            "accepted": self.accepted,
            "failures": dict(self.failures),
            "latencies": dict(self._latencies),
            "slowest": self._slowest,
        }

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        tally = cls()
        tally.accepted = message["accepted"]
        tally.failures.update(message["failures"])
        tally._latencies.update(message["latencies"])
        tally._slowest = message["slowest"]
        return tally

    def merge(self, other: "Tally") -> None:
        """Adds up another tally."""
        self.accepted += other.accepted
        self.failures.update(other.failures)
        self._latencies.update(other._latencies)
        self._slowest = max(self._slowest, other._slowest)
