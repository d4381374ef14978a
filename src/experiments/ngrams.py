r"""Character n-grams with interpolated Kneser-Ney smoothing: what a reader without memory can do.

The probability of the next character w after the context c, of which c' lacks the first character:

.. math:: P(w|c) = \frac{\max(N(cw) - D, 0)}{N(c)} + D\,\frac{\#\{w: N(cw) > 0\}}{N(c)}\,P(w|c')

N counts at the longest context. At each shorter one it counts how many different characters come
before cw. Below the empty context stands the uniform distribution. The discount of each length is
n1 / (n1 + 2 n2), where ni is how many N are i. Source: Chen and Goodman (1999), Kneser and Ney
(1995), for words.
"""

from typing import NamedTuple

import numpy as np

from bptt._arguments import Array


class NGrams(NamedTuple):
    """For each length k of a context: the contexts seen, as numbers in base m and ascending, and
    the probabilities of what follows, (contexts, m).
    """

    m: int
    seen: list[Array]
    tables: list[Array]

    def probabilities(self, code: Array, k: int) -> Array:
        """P(code[t] | what stands before it), for each t from k on, by contexts of up to k."""
        found = np.empty(len(code) - k)
        for length in range(k + 1):
            contexts = _contexts(code, length, self.m)[k - length :]
            place = np.searchsorted(self.seen[length], contexts)
            place[place == len(self.seen[length])] = 0
            known = self.seen[length][place] == contexts
            found[known] = self.tables[length][place[known], code[k:][known]]
        return found


def kneser_ney(code: Array, m: int, k: int) -> NGrams:
    """Tables for contexts of up to k characters, from a text as integers below m."""
    seen, counts = [], []
    for length in range(k + 1):
        contexts, place = np.unique(_contexts(code, length, m), return_inverse=True)
        count = np.zeros((len(contexts), m))
        np.add.at(count, (place, code[length:]), 1)
        seen.append(contexts)
        counts.append(count)
    tables, lower = [], np.full((1, m), 1 / m)
    for length in range(k + 1):
        count = counts[length]
        if length < k:
            longer = np.searchsorted(seen[length], seen[length + 1] % m**length)
            count = np.zeros_like(count)
            np.add.at(count, longer, counts[length + 1] > 0)
            count = np.where(count.any(axis=1, keepdims=True), count, counts[length])
        once, twice = (count == 1).sum(), (count == 2).sum()
        discount = once / (once + 2 * twice) if once else 0.5
        total, kept = count.sum(axis=1, keepdims=True), np.maximum(count - discount, 0)
        shorter = np.searchsorted(seen[length - 1], seen[length] % m ** (length - 1))
        below = lower[shorter] if length else lower
        lower = (kept + (total - kept.sum(axis=1, keepdims=True)) * below) / total
        tables.append(lower)
    return NGrams(m, seen, tables)


def _contexts(code: Array, length: int, m: int) -> Array:
    """The ``length`` characters before each place from ``length`` on, as one number in base m."""
    number = np.zeros(len(code) - length, np.int64)
    for j in range(length):
        number = number * m + code[j : len(code) - length + j]
    return number
