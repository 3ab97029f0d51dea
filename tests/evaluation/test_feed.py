"""Reading ahead: in order, bounded, and while the consumer is busy."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.evaluation.feed import read_ahead


@given(st.lists(st.integers(), max_size=30), st.integers(1, 9), st.integers(1, 4))
def test_items_come_in_order_each_with_what_was_loaded(items, depth, threads):
    assert list(read_ahead(items, lambda n: n * 2, depth=depth, threads=threads)) == [(n, n * 2) for n in items]


def test_the_next_item_is_loaded_while_the_first_is_being_used():
    started = [threading.Event() for _ in range(3)]

    def load(index):
        started[index].set()
        return index

    feed = read_ahead(range(3), load, depth=2, threads=1)
    assert next(feed) == (0, 0)
    # The consumer has taken the first item and asked for nothing more; the second is loaded all the same.
    assert started[1].wait(timeout=30)


def test_no_more_than_the_depth_is_loaded_before_it_is_asked_for():
    loaded = []
    feed = read_ahead(range(100), loaded.append, depth=3, threads=2)
    next(feed)
    feed.close()
    assert len(loaded) <= 4


def test_an_error_is_handed_over_and_the_rest_goes_on():
    feed = list(read_ahead([1, 0, 2], lambda n: 1 // n))
    assert feed[0] == (1, 1)
    assert isinstance(feed[1][1], ZeroDivisionError)
    assert feed[2] == (2, 0)


def test_what_is_no_exception_is_raised():
    def load(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(read_ahead([1], load))
