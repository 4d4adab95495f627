"""Closed queues with N customers who think and are then served: exact results to hold a simulation against.

Thinking is exponential. Sources: D. R. Cox and W. L. Smith, Queues (1961), chapter 4, on machines and
repairmen; L. Takács, Introduction to the Theory of Queues (1962), chapter 5, on one repairman and any
distribution of repairs; R. Jain, The Art of Computer Systems Performance Analysis (1991), chapter 31
(M/M/c//N); L. Kleinrock, Queueing Systems (1975), chapter 5 (embedded chain at departures); E. D. Lazowska,
J. Zahorjan, G. S. Graham, K. C. Sevcik, Quantitative System Performance (1984), chapter 5 (bounds).
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

    @property
    def wait_ns(self) -> float:
        """Mean wait of a customer before service, by Little's law."""
        return self.waiting / self.throughput


def machine_repairman(customers: int, servers: int, think_ns: float, service_ns: float) -> Exact:
    """M/M/c//N: exponential service on `servers` servers.

    With n customers at the station the birth rate is (N - n)/Z and the death rate min(n, c)/S; the
    stationary probabilities are products of their ratios.
    """
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
    """M/D/1//N, from the Markov chain of customers left behind at departures.

    Each of the customers who think when a service begins asks before it ends with probability
    1 - exp(-S/Z), independently; a service that leaves nobody behind is followed by a pause of Z/N on the
    mean.
    """
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


def asymptotic_bound(customers: int, think_ns: float, service_ns: float) -> float:
    """Most completions per ns that one server allows: min(N/(Z + S), 1/S), for any distributions."""
    return min(customers / (think_ns + service_ns), 1 / service_ns)


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
