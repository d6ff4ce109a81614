import pytest

from clima_locust.tally import Tally


def test_percentiles_are_those_of_all_answers():
    tally = Tally()
    for milliseconds in range(1, 101):
        tally.add(None, milliseconds / 10)
    assert tally.percentile(0.50) == 5.0
    assert tally.percentile(0.95) == 9.5
    assert tally.percentile(0.99) == 9.9
    assert tally.summary(2.0)["max_ms"] == 10.0


def test_a_tally_without_answers_has_no_latencies():
    tally = Tally()
    tally.add("interrupted", None)
    assert tally.summary(0.0) == {
        "accepted": 0,
        "failed": 1,
        "duration_s": 0.0,
        "rps": None,
        "p50_ms": None,
        "p95_ms": None,
        "p99_ms": None,
        "max_ms": None,
        "failures": {"interrupted": 1},
    }


def test_tallies_of_several_processes_add_up_to_that_of_one():
    parts, whole = [Tally(), Tally()], Tally()
    for number in range(1_000):
        answer = ("HTTP 503" if number % 10 == 0 else None, number * 0.37)
        parts[number % 2].add(*answer)
        whole.add(*answer)
    merged = Tally()
    for part in parts:
        merged.merge(Tally.from_message(part.to_message()))
    assert merged.answered == 1_000
    assert merged.summary(1.0) == whole.summary(1.0)


@pytest.mark.parametrize(("lost", "failures"), [(0, {}), (3, {"worker lost": 3})])
def test_lost_requests_are_failures(lost, failures):
    tally = Tally()
    tally.lose(lost)
    assert (tally.failed, dict(tally.failures)) == (lost, failures)
