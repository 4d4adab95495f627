"""Closed queues with N customers who think and are then served: exact results to hold a simulation against.

Thinking is exponential. Sources: R. Jain, The Art of Computer Systems Performance Analysis (1991), chapter 31
(M/M/c//N); L. Kleinrock, Queueing Systems (1975), chapter 5 (embedded chain of M/G/1 at departures).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from math import comb, exp, factorial

import numpy as np


@dataclass(frozen=True)
class Exact:
    """What theory gives: completions per ns, and the mean number of customers that wait for service."""

    throughput: float
    waiting: float


def machine_repairman(customers: int, servers: int, think_ns: float, service_ns: float) -> Exact:
    """M/M/c//N: exponential service on `servers` servers."""
    load = service_ns / think_ns

    def weight(n: int) -> float:
        ways = comb(customers, n) * load**n
        return ways if n <= servers else ways * factorial(n) / (factorial(servers) * servers ** (n - servers))

    weights = [weight(n) for n in range(customers + 1)]
    probability = np.array(weights) / sum(weights)
    numbers = np.arange(customers + 1)
    busy = float(probability @ np.minimum(numbers, servers))
    waiting = float(probability @ np.maximum(numbers - servers, 0))
    return Exact(busy / service_ns, waiting)


def constant_service(customers: int, think_ns: float, service_ns: float) -> Exact:
    """M/D/1//N, from the Markov chain of customers left behind at departures."""
    asks = 1 - exp(-service_ns / think_ns)

    def arrivals(thinking: int, count: int) -> float:
        return comb(thinking, count) * asks**count * (1 - asks) ** (thinking - count)

    chain = np.zeros((customers, customers))
    for left in range(customers):
        at_start = max(left, 1)
        for count in range(customers - at_start + 1):
            chain[left, at_start - 1 + count] += arrivals(customers - at_start, count)
    balance = np.vstack([chain.T - np.eye(customers), np.ones(customers)])
    stationary = np.linalg.lstsq(balance, np.array([0.0] * customers + [1.0]), rcond=None)[0]
    throughput = 1 / (service_ns + float(stationary[0]) * think_ns / customers)
    in_system_ns = customers / throughput - think_ns
    return Exact(throughput, throughput * (in_system_ns - service_ns))


def first_come_first_served(think_ns: list[list[int]], service_ns: int) -> list[list[int]]:
    """How long each customer waits each time, for given think times: the queue told with a heap."""
    asks = [(times[0], customer) for customer, times in enumerate(think_ns)]
    heapq.heapify(asks)
    waits: list[list[int]] = [[] for _ in think_ns]
    free_at = 0
    while asks:
        asked, customer = heapq.heappop(asks)
        waits[customer].append(max(free_at - asked, 0))
        free_at = max(free_at, asked) + service_ns
        turn = len(waits[customer])
        if turn < len(think_ns[customer]):
            heapq.heappush(asks, (free_at + think_ns[customer][turn], customer))
    return waits


def mean_and_error(values: np.ndarray, batches: int = 40) -> tuple[float, float]:
    """Mean and its standard error, from the means of batches long enough to be nearly independent."""
    whole = len(values) // batches * batches
    means = values[:whole].reshape(batches, -1).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / batches**0.5)
