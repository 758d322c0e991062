"""The event that workers and their caller wait for."""

import threading

import pytest

from nanobus.running import Completion


def waiting(completion, timeout):
    """A thread that waits; what it was told is in `told`."""
    told = []
    thread = threading.Thread(target=lambda: told.append(completion.wait(timeout)))
    thread.told = told
    thread.start()
    return thread


@pytest.mark.parametrize("timeout", [None, 1e10, float("inf")])
def test_waiter_is_told_when_it_has_happened(timeout):
    completion = Completion()
    waiters = [waiting(completion, timeout) for _ in range(3)]
    assert not completion.is_set()
    completion.set()
    completion.set()
    for waiter in waiters:
        waiter.join(20)
        assert waiter.told == [True]


def test_waiter_is_told_when_it_has_not_happened_in_time():
    assert not Completion().wait(0)
    assert not Completion().wait(0.01)


def test_waiter_finds_out_although_an_interrupt_left_the_lock_taken():
    completion = Completion()
    waiter = waiting(completion, None)
    completion._happened = True             # as far as `set` came, or a waiter that took the lock and gave it not back
    waiter.join(20)
    assert waiter.told == [True]


def test_any_number_of_threads_may_say_at_once_that_it_has_happened():
    for _ in range(200):
        completion = Completion()
        barrier = threading.Barrier(4)
        errors = []

        def say(completion=completion, barrier=barrier, errors=errors):
            barrier.wait(20)
            try:
                completion.set()
            except RuntimeError as error:
                errors.append(error)

        threads = [threading.Thread(target=say) for _ in range(3)]
        for thread in threads:
            thread.start()
        barrier.wait(20)
        assert completion.wait(20)
        for thread in threads:
            thread.join(20)
        assert errors == []
