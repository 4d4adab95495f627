"""Hit rate of a pool that drops all unused pages at the same time, under independent references.

Under the independent reference model (W. F. King, IFIP Congress 1971), each reference is to page i with
probability p_i, independently of earlier references. A pool of N unheld slots keeps its pages until the
cursor wraps, and then drops all of them. The map that wraps takes slot 0 of the empty pool, and N - 1 more
misses fill the other slots. A cycle from wrap to wrap therefore has N misses, and it ends before the next
reference to a page that is not cached. If a cycle has E[T] references on average, the hit rate is 1 - N/E[T].

T is a coupon collector's time. In continuous time, with references as a Poisson stream of rate 1, the pages'
first references become independent (P. Flajolet, D. Gardy, L. Thimonier, Discrete Applied Mathematics 39,
1992): D(t), the number of pages referenced by t, is a sum of independent indicators with probabilities 1 -
exp(-p_i t). A cycle that begins with page i lasts for

    E[T | i] = integral over t of P(D(t) without page i <= N - 1)

references, because the next wrap occurs at the N-th distinct page other than i. The next cycle begins with
page j with probability

    integral over t of p_j exp(-p_j t) P(D(t) without pages i and j = N - 1),

and the pages that begin cycles have the stationary distribution of this chain. The distribution of D(t)
follows from its characteristic function, sampled at roots of unity. A page is removed from it by a division.

D. Che, Y. Tung and Z. Wang (IEEE JSAC 20, 2002) replace D(t) by its mean: the time at which E[D(t)] = N.
`characteristic_references` applies this approximation, which was made for LRU, to the pool.
"""

from __future__ import annotations

import numpy as np

_NODES = 48
# Standard deviations of D(t) beyond which probabilities are neglected.
_DEVIATIONS = 7
# Mean times between references after which the rarest page has almost certainly been referenced.
_ALL_BUT_CERTAIN = 40
_SETTLED = 1e-9


def zipf(pages: int, skew: float) -> np.ndarray:
    """Probabilities of `pages` pages, the k-th proportional to k**-skew."""
    weights = np.arange(1, pages + 1, dtype=float) ** -skew
    return weights / weights.sum()


def _time_until(probability: np.ndarray, wanted: float, deviations: float) -> float:
    """The time at which the mean of D(t) plus this many standard deviations reaches `wanted`."""

    def reached(t: float) -> float:
        absent = np.exp(-probability * t)
        return float((1 - absent).sum() + deviations * (absent * (1 - absent)).sum() ** 0.5)

    low, high = 0.0, _ALL_BUT_CERTAIN / float(probability.min())
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < wanted else (low, middle)
    return high


def characteristic_references(probability: np.ndarray, slots: int) -> float:
    """References in a cycle if D(t) is replaced by its mean: the t at which E[D(t)] = N."""
    return _time_until(probability, slots, 0.0)


def mean_references(probability: np.ndarray, slots: int) -> float:
    """Mean references in a cycle of a pool of `slots` slots, exact except for the quadrature.

    Raises ValueError if all pages fit, because there is no second cycle then.
    """
    pages = len(probability)
    if pages <= slots:
        raise ValueError(f"{pages} pages fit into {slots} slots; expected more pages")
    first = _time_until(probability, slots - 1, _DEVIATIONS)
    last = _time_until(probability, slots + 1, -_DEVIATIONS)
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    times = first + (last - first) * (node + 1) / 2
    widths = weight * (last - first) / 2
    moments = [_moment(probability, slots, t) for t in times]

    # einsum, not @: BLAS threads would wait for each other at each of these small products.
    begins = probability * np.exp(-probability * characteristic_references(probability, slots))
    begins /= begins.sum()
    while True:
        lasting = first
        following = np.zeros(pages)
        for t, width, (without, fewer, last_one, both) in zip(times, widths, moments, strict=True):
            begun = np.einsum("p,pr->r", begins, without)
            lasting += width * float((fewer * begun).real.sum())
            reached = np.einsum("pr,r->p", without, last_one * begun).real - begins * both
            following += width * probability * np.exp(-probability * t) * reached
        following /= following.sum()
        if np.abs(following - begins).sum() < _SETTLED:
            return lasting
        begins = following


def _moment(
    probability: np.ndarray, slots: int, t: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The characteristic function of D(t) at roots of unity, prepared for sums over it.

    Returns four arrays. The first has 1/f_i at each root for every page i, which removes the factor f_i from
    the product. The second and third have the product weighted such that its sums are P(D(t) <= N - 1) and
    P(D(t) = N - 1). The fourth has the latter probability for each page with its factor removed twice, to
    subtract pairs of a page with itself.
    """
    absent = np.exp(-probability * t)[:, None]
    deviation = float((absent * (1 - absent)).sum()) ** 0.5
    # An odd number: at -1, a page present with probability 1/2 has the factor 0, which cannot be a divisor.
    all_of_them = len(probability) + 1 | 1
    roots = min(all_of_them, int(4 * _DEVIATIONS * deviation) | 1)
    angle = 2 * np.pi * np.arange(roots // 2 + 1) / roots
    factor = absent + (1 - absent) * np.exp(1j * angle)
    # A mean over all roots; conjugate roots have conjugate values.
    share = np.where(angle == 0, 1, 2) / roots
    whole = share * np.multiply.reduce(factor, axis=0)
    # Fewer roots distinguish numbers only within half a turn; others are improbable.
    numbers = slots - 1 - np.arange(slots if roots == all_of_them else min(slots, roots // 2))
    fewer = whole * np.exp(-1j * np.outer(angle, numbers)).sum(axis=1)
    last_one = whole * np.exp(-1j * angle * (slots - 1))
    without = np.divide(1, factor, out=factor)
    return without, fewer, last_one, np.einsum("pr,pr,r->p", without, without, last_one).real
