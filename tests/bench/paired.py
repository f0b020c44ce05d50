"""Differences of pairs: what two things that were measured in turn cost, without a word about how the noise is distributed."""
import math
import statistics


def median_interval(values, confidence=0.95):
    """(median, lower, upper): the interval between two of the values that contains the median of what they are drawn from with at least
    this probability, by the binomial distribution. Without bounds (None) for fewer than six values."""
    ordered, n = sorted(values), len(values)
    outside, rank = 0.0, 0
    while True:  # the largest rank from both ends that leaves less than (1 - confidence) outside
        outside += 2 * math.comb(n, rank) / 2 ** n
        if outside > 1 - confidence or 2 * rank >= n:
            break
        rank += 1
    if rank == 0:
        return statistics.median(ordered), None, None
    return statistics.median(ordered), ordered[rank - 1], ordered[n - rank]


def verdict(low, high, least=None, most=None):
    """"met" if the whole interval meets the bound, "missed" if none of it does, otherwise "not decided"."""
    if low is None:
        return "not decided"
    good = [x >= least if least is not None else x <= most for x in (low, high)]
    return "met" if all(good) else "missed" if not any(good) else "not decided"
