"""Exact results for closed queues with N customers that alternate between thinking and service.

Think times are exponential. Sources: D. R. Cox and W. L. Smith, Queues (1961), chapter 4, on machines and
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
    """Exact throughput in completions per ns, and mean number of customers waiting for service."""

    throughput: float
    waiting: float

    @property
    def wait_ns(self) -> float:
        """Mean wait of a customer before service by Little's law, ns."""
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

    Each customer that is thinking when a service begins arrives before it ends with probability 1 -
    exp(-S/Z), independently. A service that leaves no customer behind is followed by a pause with mean Z/N.
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
    """Upper bound of completions per ns for one server and any distributions: min(N/(Z + S), 1/S)."""
    return min(customers / (think_ns + service_ns), 1 / service_ns)


def first_come_first_served(think_ns: list[list[int]], service_ns: int) -> list[list[int]]:
    """Waits of each customer for given think times, from a queue simulated with a heap, ns."""
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
