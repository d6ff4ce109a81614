import random
from functools import partial

import gevent
import pytest

from clima_locust.budget import LARGEST_LEASE, LeasedBudget, Lender, LocalBudget


def users(budget, count, source):
    """Users who take from a budget until it is empty, giving way to each other at random points."""

    def user():
        taken = 0
        while budget.take():
            taken += 1
            if source.random() < 0.3:
                gevent.idle()
        return taken

    return [gevent.spawn(user) for _ in range(count)]


def taken_by(greenlets):
    gevent.joinall(greenlets, raise_error=True, timeout=30)
    return [greenlet.value for greenlet in greenlets]


@pytest.mark.parametrize("requests", [1, 7, 10, 10_000])
def test_concurrent_users_take_exactly_the_budget(requests):
    assert sum(taken_by(users(LocalBudget(requests), 10, random.Random(3)))) == requests


@pytest.mark.parametrize("requests", [1, 3, 100, 10_000])
@pytest.mark.parametrize("counts", [[10], [1, 1], [1, 9], [0, 3], [5, 5, 5]])
def test_workers_together_take_exactly_what_the_master_lends(requests, counts):
    source = random.Random(5)
    lender = Lender(requests)
    budgets = {}

    def ask(worker):
        # The answer comes later, as it does over the network.
        gevent.spawn(lambda: budgets[worker].grant(lender.lend(worker, len(counts))))

    greenlets = []
    for number, count in enumerate(counts):
        worker = f"worker-{number}"
        budgets[worker] = LeasedBudget(partial(ask, worker))
        greenlets += users(budgets[worker], count, source)
    assert sum(taken_by(greenlets)) == requests


def test_a_lease_is_limited_and_leaves_something_for_the_others():
    assert Lender(1_000_000).lend("a", workers=2) == LARGEST_LEASE
    assert Lender(100).lend("a", workers=2) == 25
    assert Lender(1).lend("a", workers=2) == 1
    assert Lender(10).lend("a", workers=0) == 5


def test_leases_of_a_lost_worker_are_written_off_once_and_never_lent_again():
    lender = Lender(100)
    lost = lender.lend("a", workers=2)
    assert lender.settle("a", 5)
    lender.lend("b", workers=2)
    assert lender.write_off({"b"}) == lost - 5
    assert lender.write_off({"b"}) == 0
    # It comes back: what it says is not counted a second time, and it gets no more work.
    assert not lender.settle("a", lost - 5)
    assert lender.lend("a", workers=2) == 0


def test_users_who_wait_for_a_lease_end_when_there_is_none():
    asked = []
    budget = LeasedBudget(lambda: asked.append(True))
    waiting = users(budget, 4, random.Random(1))
    gevent.idle()
    assert asked == [True]
    budget.grant(0)
    assert taken_by(waiting) == [0, 0, 0, 0]
