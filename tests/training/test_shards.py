"""Gradients of shards, added in one order whatever thread comes first; and what a layer writes into grad itself."""

import itertools
from functools import partial

import numpy as np
import pytest

from tinytx.core import Parameter
from tinytx.training.shards import ShardParameter, share_gradients

LARGE = 2.0**53  # beside it 1 is rounded away, so that the order of a sum shows


def summed(arrivals, contributions):
    """The sum of contributions {shard: [values]} that arrive in an order of shards."""
    parameter = Parameter(np.zeros(1))
    shards = [ShardParameter(parameter.data) for _ in contributions]
    (total,) = share_gradients({"p": parameter}, [{"p": shard} for shard in shards])
    left = [iter(values) for values in contributions]
    for shard in arrivals:
        shards[shard].add_grad(np.array([next(left[shard])]))
    total.close()
    return parameter.grad[0]


@pytest.mark.parametrize("values", [(LARGE, -LARGE, 1.0), (1.0, LARGE, -LARGE), (LARGE, 1.0, -LARGE)])
def test_shards_are_added_in_their_order(values):
    """Catches a sum in the order of arrival, or last shard first: 1, 0 and 0 are what the order of shards gives."""
    for arrivals in itertools.permutations(range(3)):
        assert summed(arrivals, [[value] for value in values]) == sum(values), arrivals


def test_second_contributions_come_after_all_first_ones():
    """A tied weight has two of each shard; here the third shard has one only, which `close` must not lose."""
    contributions = ([LARGE, 1.0], [-LARGE, 2.0], [4.0])
    for arrivals in set(itertools.permutations([0, 0, 1, 1, 2])):
        assert summed(arrivals, contributions) == 7.0, arrivals


def test_what_is_written_into_grad_counts_too():
    """Catches a layer of a user's, which knows `grad` alone, whose gradient is lost where there are several threads."""
    parameter = Parameter(np.zeros(3))
    shards = [ShardParameter(parameter.data) for _ in range(2)]
    (total,) = share_gradients({"p": parameter}, [{"p": shard} for shard in shards])
    for number, shard in enumerate(shards, start=1):
        shard.grad += number
        shard.add_grad(np.full(3, 10.0))
    total.close()
    np.testing.assert_array_equal(parameter.grad, 23.0)
    assert not any(shard.has_grad for shard in shards)


def test_shards_see_the_weights_that_are_there_now():
    """Catches a thread that goes on with an array which somebody has replaced."""
    parameter = Parameter(np.zeros(3))
    shard = ShardParameter(parameter.data)
    parameter.data = np.ones(3)
    share_gradients({"p": parameter}, [{"p": shard}])
    assert shard.data is parameter.data


def test_rows_of_a_large_table_come_after_sums_in_the_order_of_shards():
    """Catches rows added in the order of arrival, which 2 ** 53 and 1 show."""
    for arrivals in itertools.permutations(range(3)):
        parameter = Parameter(np.zeros(40))
        shards = [ShardParameter(parameter.data) for _ in range(3)]
        (total,) = share_gradients({"p": parameter}, [{"p": shard} for shard in shards])
        for shard in arrivals:
            shards[shard].add_into_grad(partial(_into, np.array([(LARGE, 1.0, -LARGE)[shard]])))
            shards[shard].add_grad(np.full(40, 4.0))
        total.close()
        assert parameter.grad[0] == ((12.0 + LARGE) + 1.0) - LARGE, arrivals
        np.testing.assert_array_equal(parameter.grad[1:], 12.0)


def _into(rows, grad):
    grad[: len(rows)] += rows


def test_four_shards_are_added_in_pairs():
    """Catches a sum from the left: two machines with two threads each have pairs."""
    for arrivals in itertools.permutations(range(4)):
        assert summed(arrivals, [[1.0], [LARGE], [1.0], [-LARGE]]) == (1.0 + LARGE) + (1.0 - LARGE), arrivals
