"""The tasks, against brute force, grammars written otherwise, and what their samples must be."""

import re
from collections import Counter
from itertools import product

import numpy as np
import pytest

import bptt

XOR, ADDING, ORDER = bptt.TemporalXOR(30), bptt.AddingProblem(), bptt.TemporalOrder()
LAG, REBER, EMBEDDED = bptt.LongLag(10), bptt.Reber(), bptt.Reber(embedded=True)
TASKS = (XOR, ADDING, ORDER, LAG, REBER, EMBEDDED)


def rng(seed=0):
    return np.random.default_rng(seed)


def perfect(task, batch):
    """Outputs without any error, whatever stands in the padding."""
    if batch.target.ndim == 3:
        return batch.target.copy()
    return (np.arange(task.m) == batch.target[..., None]).astype(float)


def lengths(batch):
    """Steps of each sequence, from the inputs: padding is zero, and no last step is."""
    (T, B), busy = batch.counts.shape, np.abs(batch.x).sum(axis=-1) > 0
    return np.array([max(t + 1 for t in range(T) if busy[t, b]) for b in range(B)])


def text(task, batch):
    """The symbols of the inputs, sequence by sequence."""
    return [
        "".join(task.symbols[code] for code in batch.x[:length, b].argmax(axis=-1))
        for b, length in enumerate(lengths(batch))
    ]


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_batches_have_the_shapes_that_training_needs(task):
    batch = task.sample(rng(), 40)
    T, B = batch.counts.shape
    assert B == 40
    assert batch.x.shape == (T, B, task.d)
    assert batch.x.dtype == np.float64
    assert batch.counts.dtype == bool
    assert batch.counts.any(axis=0).all()
    if task is ADDING:
        assert batch.target.shape == (T, B, 1)
    else:
        assert batch.target.shape == (T, B)
        assert batch.target.dtype.kind == "i"
        assert 0 <= batch.target.min() <= batch.target.max() < task.m
    again, other = task.sample(rng(), 40), task.sample(rng(1), 40)
    assert all(map(np.array_equal, batch, again))
    assert not all(map(np.array_equal, batch, other))
    if task in (ADDING, ORDER):  # only at the end, and the longest sequence ends at T
        assert (batch.counts.sum(axis=0) == 1).all()
        assert (batch.counts.argmax(axis=0) + 1 == lengths(batch)).all()
        assert batch.counts[-1].any()
    elif task is not XOR:
        assert (batch.counts.sum(axis=0) == lengths(batch)).all()
        assert (np.diff(batch.counts.astype(int), axis=0) <= 0).all()  # first all, then none


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_perfect_outputs_are_right_and_padding_does_not_count(task):
    batch = task.sample(rng(2), 30)
    y = perfect(task, batch)
    if task in (REBER, EMBEDDED):  # the next symbol alone is not enough where two may follow
        y = np.maximum(y, task.may_follow(batch))
    else:
        assert (task.error(y, batch) == 0).all()
    y[~batch.counts] = 7
    assert task.right(y, batch).all()
    step, b = np.argwhere(batch.counts)[-1]
    if task is XOR:
        step = 1  # whose target is bit 2, the first XOR
    y[step, b] = 1 - y[step, b]
    expected = np.arange(30) != b
    assert (task.right(y, batch) == expected).all()


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_errors_are_squared_summed_over_outputs_and_averaged_over_steps(task):
    batch = task.sample(rng(3), 9)
    y = rng(4).random((*batch.counts.shape, task.m))
    for b, error in enumerate(task.error(y, batch)):
        expected = []
        for t in np.flatnonzero(batch.counts[:, b]):
            wanted = batch.target[t, b] if task is ADDING else np.zeros(task.m)
            if task is not ADDING:
                wanted[batch.target[t, b]] = 1
            expected.append(sum((y[t, b, i] - wanted[i]) ** 2 for i in range(task.m)))
        assert error == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize(
    ("task", "successive", "below"),
    [
        *((XOR, 1, np.inf), (ADDING, 2000, 0.01), (ORDER, 2000, 0.1)),
        *((LAG, 10_000, np.inf), (REBER, 512, np.inf), (EMBEDDED, 512, np.inf)),
    ],
    ids=repr,
)
def test_criteria_are_those_of_the_papers(task, successive, below):
    assert task.successive == successive
    assert task.below == below


@pytest.mark.parametrize(("task", "limit"), [(ADDING, 0.04), (ORDER, 0.3), (LAG, 0.25)], ids=repr)
def test_thresholds_are_those_of_the_papers(task, limit):
    batch = task.sample(rng(5), 4)
    steps = np.argwhere(batch.counts)
    for output, sign in product(range(task.m), (-1, 1)):
        t, b = steps[output % len(steps)]
        for off, right in ((limit - 1e-9, True), (limit + 1e-9, False)):
            y = perfect(task, batch)
            y[t, b, output] += sign * off
            assert (task.right(y, batch) == (right | (np.arange(4) != b))).all()
    y = np.zeros((*batch.counts.shape, task.m))
    y[batch.counts] = limit + perfect(task, batch)[batch.counts].round(0)  # not less than
    if task is not ADDING:
        assert not task.right(y, batch).any()


# Exclusive or


def test_every_third_bit_is_the_exclusive_or_of_the_two_before():
    for T in (4, 5, 6, 30, 301):
        batch = bptt.TemporalXOR(T).sample(rng(T), 50)
        bits = np.concatenate([batch.x[:1, :, 0], batch.target])
        assert bits.shape == (T, 50)
        assert (batch.x[:, :, 0] == bits[:-1]).all()
        assert batch.counts.all()
        for t in range(2, T, 3):
            assert (bits[t] == (bits[t - 1] != bits[t - 2])).all()
    pairs = Counter(map(tuple, bits[:300].reshape(100, 3, 50)[:, :2].swapaxes(1, 2).reshape(-1, 2)))
    assert sorted(pairs) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(abs(count / 5000 - 1 / 4) < 0.03 for count in pairs.values())


def test_errors_by_phase_of_a_guesser_and_of_one_who_knows():
    batch = XOR.sample(rng(6), 20)
    half = np.full((29, 20, 2), 0.5)
    assert XOR.by_phase(half, batch) == pytest.approx([0.25, 0.25, 0.25], abs=1e-15)
    knows, guess = half.copy(), rng(7).random((29, 20))
    for t in range(29):
        if (t + 1) % 3 == 2:  # bit t + 1 is an XOR
            bit = batch.x[t, :, 0] != batch.x[t - 1, :, 0]
            knows[t] = np.stack([~bit, bit], axis=-1)
        elif (t + 1) % 3 == 1:
            knows[t] = np.stack([1 - guess[t], guess[t]], axis=-1)
    missed = [((guess[t] - batch.target[t]) ** 2).mean() for t in range(0, 29, 3)]
    assert XOR.by_phase(knows, batch) == pytest.approx([0.25, np.mean(missed), 0], abs=1e-12)
    assert XOR.right(knows, batch).all()
    counts = batch.counts.copy()
    counts[20:, ::2] = False  # the padding of shorter sequences
    perfect_there = np.where(counts[..., None], perfect(XOR, batch), 7.0)
    assert (XOR.by_phase(perfect_there, batch._replace(counts=counts)) == 0).all()
    half[1::3] += 1e-9 * np.array([1, -1]) * np.where(batch.target[1::3, :, None] == 0, 1, -1)
    assert XOR.right(half, batch).all()  # a shade more likely than not is enough
    assert not XOR.right(np.full((29, 20, 2), 0.5), batch).any()


# Numbers and symbols over long lags


def test_adding_problem_is_as_published():
    batch = ADDING.sample(rng(8), 4000)
    places, seen, unmarked = [], set(), []
    for b, length in enumerate(lengths(batch)):
        seen.add(int(length))
        numbers, markers = batch.x[:length, b].T
        assert len(set(numbers)) == length
        marked = np.flatnonzero(markers == 1)
        assert markers[0] == markers[-1] == -1
        assert (np.delete(markers[1:-1], marked - 1) == 0).all()
        if len(marked) == 1:  # the first pair was chosen, and adds nothing
            assert numbers[0] == 0
            marked = np.array([0, *marked])
        else:
            unmarked.append(numbers[0])
        assert len(marked) == 2
        assert (np.abs(numbers) <= 1).all()
        end = batch.target[length - 1, b, 0]
        assert end == pytest.approx(0.5 + numbers[marked].sum() / 4, abs=1e-15)
        assert 0 <= end <= 1
        places.append(marked)
    early, late = np.sort(places, axis=1).T
    assert seen == set(range(100, 111))
    assert early.max() <= 9
    assert set(late) == set(range(1, 50))
    # one of ten, then one of the 49 others: how often is pair 0 chosen, and how often the last?
    assert np.mean(early == 0) == pytest.approx(1 / 10 + 9 / 10 / 49, abs=0.02)
    assert np.mean(late == 49) == pytest.approx(1 / 49, abs=0.01)
    assert batch.x[..., 0].std() == pytest.approx(np.sqrt(1 / 3), abs=0.03)
    assert np.std(unmarked) == pytest.approx(np.sqrt(1 / 3), abs=0.03)
    assert len({tuple(x) for x in batch.x[:5, :, 0].T}) == 4000


def test_adding_problem_scales_with_its_length():
    for T in (20, 21, 50):
        batch = bptt.AddingProblem(T).sample(rng(T), 900)
        marked = np.argwhere(batch.x[..., 1] == 1)[:, 0]
        assert (lengths(batch).min(), lengths(batch).max()) == (T, T + T // 10)
        assert marked.max() == T // 2 - 1


def test_temporal_order_is_as_published():
    batch = ORDER.sample(rng(9), 4000)
    strings = text(ORDER, batch)
    form = re.compile("E[abcd]{8,18}([XY])[abcd]{29,49}([XY])[abcd]{39,59}B")
    kinds, first, second = Counter(), set(), set()
    for string, target in zip(strings, batch.target[-1], strict=True):
        match = form.fullmatch(string)
        kinds[match[1] + match[2]] += 1
        first.add(match.start(1) + 1)
        second.add(match.start(2) + 1)
        assert ["XX", "XY", "YX", "YY"].index(match[1] + match[2]) == target or len(string) < 110
    for b, string in enumerate(strings):
        end = batch.target[len(string) - 1, b]
        assert ["XX", "XY", "YX", "YY"][end] == re.sub("[^XY]", "", string)
    assert {len(string) for string in strings} == set(range(100, 111))
    assert first == set(range(10, 21))
    assert second == set(range(50, 61))
    assert all(abs(count / 4000 - 1 / 4) < 0.03 for count in kinds.values())
    letters = Counter("".join(strings))
    assert all(abs(letters[s] / letters["a"] - 1) < 0.02 for s in "bcd")


def test_temporal_order_scales_with_its_length():
    for T, first, second in ((20, (2, 4), (10, 12)), (39, (3, 6), (15, 18))):
        strings = text(ORDER, bptt.TemporalOrder(T).sample(rng(T), 900))
        places = [[i + 1 for i, s in enumerate(string) if s in "XY"] for string in strings]
        assert all(string[0] == "E" and string[-1] == "B" for string in strings)
        assert {len(string) for string in strings} == set(range(T, T + T // 10 + 1))
        assert (min(p[0] for p in places), max(p[0] for p in places)) == first
        assert (min(p[1] for p in places), max(p[1] for p in places)) == second


def test_long_lag_has_two_sequences_that_differ_at_both_ends():
    for p in (2, 3, 10, 100):
        task = bptt.LongLag(p)
        batch = task.sample(rng(p), 200)
        assert batch.x.shape == (p, 200, p + 1) == (p, 200, task.d)
        assert (task.d, task.m) == (p + 1, p + 1)
        assert (batch.x.sum(axis=-1) == 1).all()
        symbols = np.concatenate([batch.x.argmax(axis=-1), batch.target[-1:]]).T
        assert (symbols[:, 1:-1] == batch.target[:-1].T).all()
        x, y = ([end, *range(p - 1), end] for end in (p - 1, p))
        kinds = Counter(map(tuple, symbols))
        assert set(kinds) == {tuple(x), tuple(y)}
        assert abs(kinds[tuple(x)] - 100) < 30


# Grammars

PLAIN_RULES = {
    "S": ["BI"],
    **{"I": ["TJ", "PK"], "J": ["SJ", "XL"], "K": ["TK", "VM"]},
    **{"L": ["XK", "SN"], "M": ["PL", "VN"], "N": ["E"]},
}
SMALL = str.maketrans("BTSXPVE", "btsxpve")


def derived(longest):
    """Strings of the grammar, by rewriting: terminals in small letters, one rule at a time."""
    rules = {
        name: [to[0].lower() + to[1:] if name != "N" else "e" for to in rule]
        for name, rule in PLAIN_RULES.items()
    }
    done, open_ = set(), {"S"}
    while open_:
        form = open_.pop()
        if form.islower():
            done.add(form.upper())
        elif len(form) <= longest:
            open_ |= {form[:-1] + to for to in rules[form[-1]]}
    return done


def embed(strings, longest):
    return {f"B{s}{string}{s}E" for s in "TP" for string in strings if len(string) + 4 <= longest}


def test_all_strings_are_those_that_rewriting_derives():
    for longest in (4, 5, 9, 14):
        listed = list(REBER.all_strings(longest))
        assert set(listed) == derived(longest)
        assert len(listed) == len(set(listed))
        assert [len(s) for s in listed] == sorted(len(s) for s in listed)
    listed = list(EMBEDDED.all_strings(15))
    assert set(listed) == embed(derived(11), 15)
    assert len(listed) == len(set(listed))


def test_membership_decides_every_string_that_is_short():
    grammatical = derived(7)
    for length in range(1, 6):
        for inner in product("BTSXPVE", repeat=length):
            string = "B" + "".join(inner) + "E"
            assert REBER.contains(string) == (string in grammatical)
    for string in derived(13):
        assert REBER.contains(string)
        assert not REBER.contains(string[1:])
        assert not REBER.contains(string + "E")
        assert not EMBEDDED.contains(string)
        for s, other in ("TP", "PT"):
            assert EMBEDDED.contains(f"B{s}{string}{s}E")
            assert not EMBEDDED.contains(f"B{s}{string}{other}E")


@pytest.mark.parametrize("task", [REBER, EMBEDDED], ids=repr)
def test_samples_are_grammatical_and_choose_evenly(task):
    batch = task.sample(rng(10), 3000)
    strings = [
        string + task.symbols[batch.target[len(string) - 1, b]]
        for b, string in enumerate(text(task, batch))
    ]
    assert all(task.contains(string) for string in strings)
    chances = Counter(strings)
    for string in list(task.all_strings(11))[:6]:  # each choice of two halves the probability
        choices = sum(
            len({s[len(start)] for s in task.all_strings(16) if s.startswith(start)}) == 2
            for start in (string[:i] for i in range(1, len(string)))
        )
        assert chances[string] / 3000 == pytest.approx(2.0**-choices, abs=0.02)
    assert task.sample(rng(3), 2).x.shape[1] == 2


@pytest.mark.parametrize("task", [REBER, EMBEDDED], ids=repr)
def test_what_may_follow_is_what_some_string_goes_on_with(task):
    strings = list(task.all_strings(13))
    follow = {}
    for string in task.all_strings(18):
        for i in range(1, len(string)):
            follow.setdefault(string[:i], set()).add(string[i])
    batch = task.encode(strings)
    allowed = task.may_follow(batch)
    assert allowed.dtype == bool  # a mask
    for b, string in enumerate(strings):
        for t in range(len(batch.counts)):
            got = {s for s, may in zip(task.symbols, allowed[t, b], strict=True) if may}
            assert got == (follow[string[: t + 1]] if t < len(string) - 1 else set())


def test_a_string_is_right_if_what_may_follow_is_most_active():
    batch = REBER.encode(["BTXSE"])  # then T or P, S or X, X or S, E
    y = np.zeros((4, 1, 7))
    ranks = ({"T": 0.2, "P": 0.3}, {"S": 0.9, "X": 0.11}, {"X": 0.4, "S": 0.4}, {"E": 0.101})
    for t, rank in enumerate(ranks):
        y[t, 0] = [rank.get(s, 0.1) for s in REBER.symbols]
    assert REBER.right(y, batch).all()
    for t, rank in enumerate(ranks):
        for code, symbol in enumerate(REBER.symbols):
            if symbol not in rank:
                wrong = y.copy()
                wrong[t, 0, code] = min(rank.values())  # as active is not more active
                assert not REBER.right(wrong, batch).any()


@pytest.mark.parametrize("task", [REBER, EMBEDDED], ids=repr)
def test_strings_of_which_only_one_step_counts(task):
    batch = task.sample(rng(14), 6)
    for back in (1, 2):
        counts = np.zeros_like(batch.counts)
        counts[lengths(batch) - back, np.arange(6)] = True
        some = batch._replace(counts=counts)
        assert (task.may_follow(some)[counts] == task.may_follow(batch)[counts]).all()
        assert not task.right(np.tile(np.eye(7)[0], (*counts.shape, 1)), some).any()


def test_accepts_looks_at_each_symbol_of_the_string():
    strings = ["BTXSE", "BPVVE", "BTSSXXTVVE"]
    batch = REBER.encode(strings)
    y = np.where(np.arange(7) == batch.target[..., None], 0.3, 0.0)
    assert (REBER.accepts(y, batch) == [True, True, True]).all()
    assert not REBER.accepts(y, batch, threshold=0.31).any()
    for b, string in enumerate(strings):
        for t in range(len(batch.counts)):
            less = y.copy()
            less[t, b] *= 0.99
            expected = [t >= len(string) - 1 if i == b else True for i in range(3)]
            assert (REBER.accepts(less, batch) == expected).all()
            assert REBER.accepts(less, batch, threshold=0.297 - 1e-12).all()


def test_encode_puts_one_hot_symbols_in_order():
    batch = REBER.encode(["BTSXPVE", "EB"])
    assert (batch.x[:, 0] == np.eye(7)[:6]).all()
    assert batch.target[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert batch.x[0, 1].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert batch.target[:, 1].tolist() == [0] * 6
    assert batch.counts[:, 1].tolist() == [True] + [False] * 5
    assert not batch.x[1:, 1].any()


def test_random_strings_look_like_the_grammars_but_are_not():
    strings = REBER.random_strings(rng(11), 3000)
    assert len(strings) == 3000
    assert all(re.fullmatch("B[TSXPV]{3,}E", string) for string in strings)
    own = [len(REBER.string(rng(seed))) for seed in range(3000)]
    assert np.mean([len(s) for s in strings]) == pytest.approx(np.mean(own), abs=0.2)
    assert {len(s) for s in strings} >= {5, 6, 7, 8, 9}
    inner = Counter("".join(string[1:-1] for string in strings))
    assert all(abs(inner[s] / inner.total() - 1 / 5) < 0.02 for s in "TSXPV")
    assert 0 < sum(map(REBER.contains, strings)) < 60
    assert strings == REBER.random_strings(rng(11), 3000)


# The whole criterion


def counting(task, wrong=(), off=0.0):
    """Perfect outputs but for these sequences and this error, and the batches that were asked."""
    seen, batches, own = [0], [], rng(12)

    def outputs(x):
        batch = task.sample(own, x.shape[1])
        assert (batch.x == x).all()
        y = perfect(task, batch) + off
        for b in range(x.shape[1]):
            y[:, b] += seen[0] + b in wrong
        seen[0] += x.shape[1]
        batches.append(x.shape[1])
        return y

    return outputs, batches


@pytest.mark.parametrize("task", [bptt.AddingProblem(20), bptt.TemporalOrder(20)], ids=repr)
def test_learned_after_two_thousand_sequences_without_an_error(task):
    outputs, batches = counting(task)
    assert task.learned(outputs, rng(12)) is True
    assert batches == [100] * 20
    for wrong, asked in ((0, 1), (99, 1), (100, 2), (1999, 20)):
        outputs, batches = counting(task, {wrong})
        assert task.learned(outputs, rng(12)) is False
        assert batches == [100] * asked
    outputs, _ = counting(task, {2000})
    assert task.learned(outputs, rng(12))


def test_learned_needs_a_small_mean_error_too():
    task = bptt.TemporalOrder(20)
    for off, met in ((0.158, True), (0.159, False)):  # four outputs: 4 off^2 is 0.1 at 0.1581
        assert task.learned(counting(task, off=off)[0], rng(12)) is met
    exact = type("Exact", (bptt.TemporalOrder,), {"below": 0.0})(20)
    assert not exact.learned(counting(exact)[0], rng(12))


@pytest.mark.parametrize(
    ("task", "sizes"),
    [(REBER, [100] * 5 + [12]), (bptt.LongLag(2), [100] * 100), (XOR, [1])],
    ids=repr,
)
def test_learned_draws_as_many_as_the_task_says(task, sizes):
    asked, own = [], rng(13)

    def outputs(x):
        asked.append(x.shape[1])
        batch = task.sample(own, x.shape[1])
        return task.may_follow(batch) * 0.5 if task is REBER else perfect(task, batch)

    assert task.learned(outputs, rng(13))
    assert asked == sizes


def test_a_task_is_a_value():
    assert bptt.LongLag() == bptt.LongLag(100) != bptt.LongLag(50)
    assert repr(bptt.AddingProblem()) == "AddingProblem(T=100)"
    assert (bptt.TemporalXOR().T, bptt.TemporalOrder().T) == (3000, 100)
    assert bptt.Reber() == bptt.Reber(embedded=False) != bptt.Reber(embedded=True)
    with pytest.raises(AttributeError, match="cannot assign"):
        ADDING.T = 5


# Bad arguments


@pytest.mark.parametrize(
    ("kind", "least", "name"),
    [
        *((bptt.TemporalXOR, 4, "T"), (bptt.LongLag, 2, "p")),
        *((bptt.AddingProblem, 20, "T"), (bptt.TemporalOrder, 20, "T")),
    ],
)
def test_sizes_are_checked(kind, least, name):
    assert kind(least).sample(rng(), 3).x.shape[1] == 3
    with pytest.raises(ValueError, match=f"^{name}: got {least - 1}, needs an integer"):
        kind(least - 1)
    with pytest.raises(TypeError, match=f"^{name}: got 50.0, needs an integer from {least}"):
        kind(50.0)


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_sampling_and_judging_check_their_arguments(task):
    with pytest.raises(TypeError, match=r"^rng: got int, needs Generator$"):
        task.sample(3, 2)
    with pytest.raises(ValueError, match=r"^B: got 0, needs an integer from 1"):
        task.sample(rng(), 0)
    batch = task.sample(rng(), 2)
    T, y = len(batch.x), np.zeros((*batch.counts.shape, task.m))
    for judge in (task.right, task.error):
        with pytest.raises(ValueError, match=rf"^y: got shape .*needs \(T={T}, B=2, m={task.m}\)"):
            judge(y[..., :-1] if task.m > 1 else y[:-1], batch)
        with pytest.raises(ValueError, match=rf"^y: got shape .*needs \(T={T}, B=2, m={task.m}\)"):
            judge(y[:, :1], batch)


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_what_is_no_batch_of_the_task_is_refused(task):
    batch = task.sample(rng(), 2)
    y = np.zeros((*batch.counts.shape, task.m))
    none = batch.counts.copy()
    none[:, 1] = False
    T, m, wide = len(none), task.m, np.ones((*none.shape, task.m + 1))
    single = {"target": batch.target[:, 0].ravel(), "counts": batch.counts[:, 0]}  # without B
    needs = f"needs (T={T}, B=2,"
    wrong = [
        ({"counts": batch.counts.astype(int)}, TypeError, "counts: got dtype int64, needs bool"),
        ({"counts": none}, ValueError, "counts: got no step that is True in sequence 1, needs one"),
        ({"target": batch.target[1:]}, ValueError, "target: got shape "),
        ({"target": wide}, ValueError, f"target: got shape {wide.shape}, {needs} m={m})"),
        ({"target": 1j * wide}, TypeError, "target: got dtype complex128, needs float32 or "),
        (single, ValueError, f"target: got shape ({T},), needs (T={T}, B, m={m})"),
        ({"target": np.full(none.shape, "a")}, TypeError, "target: got dtype <U1, needs integer"),
    ]
    for label in (-1, -100, m) if task is not ADDING else ():
        got = f"label in target: got {label}, needs an integer from 0 to {m - 1}"
        wrong.append(({"target": np.full_like(batch.target, label)}, ValueError, got))
    twice = [np.concatenate([batch.x, batch.x], axis) for axis in range(3)]
    inputs = [
        *(({"x": x}, ValueError, f"x: got shape {x.shape}, {needs} d={task.d})") for x in twice),
        ({"x": batch.x.astype(complex)}, TypeError, "x: got dtype complex128, needs float32 or "),
    ]
    judges = [task.right, task.error, task.outputs]
    judges += [task.by_phase] if task is XOR else []
    judges += [task.accepts, lambda _, b: task.may_follow(b)] if task in (REBER, EMBEDDED) else []
    for judge, (parts, error, message) in product(judges, wrong):
        with pytest.raises(error, match=f"^{re.escape(message)}"):
            judge(y, batch._replace(**parts))
    for parts, error, message in inputs if task in (REBER, EMBEDDED) else ():  # which look at x
        for judge in (task.right, lambda _, b: task.may_follow(b)):
            with pytest.raises(error, match=f"^{re.escape(message)}"):
                judge(y, batch._replace(**parts))


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_outputs_are_real(task):
    batch = task.sample(rng(), 2)
    for judge in (task.right, task.error, task.outputs):
        with pytest.raises(TypeError, match=r"^y: got dtype complex128, needs float32 or float64$"):
            judge(perfect(task, batch) + 0.03j, batch)


def test_a_task_with_outputs_of_its_own():
    class Soft(bptt.LongLag):
        def outputs(self, y, batch):
            return bptt.softmax(super().outputs(y, batch))

    task = Soft(3)
    batch = task.sample(rng(), 4)
    z = 20 * perfect(task, batch)
    assert task.right(z, batch).all()
    assert (task.error(z, batch) < 1e-15).all()


@pytest.mark.parametrize("x", [np.arange(5), np.eye(5, dtype=np.float16)])
def test_a_task_with_inputs_and_targets_of_its_own(x):
    """Symbols or other numbers go in, and yes or no is to come out, twice at each step."""

    class Weighted(bptt.Batch):
        @property
        def double(self):
            return 2 * self.target

    class Own(bptt.Task):
        d, m, within, successive = 1, 2, 0.5, 1

        def draw(self, rng):
            return x, rng.integers(0, 2, (5, 2)).astype(bool), np.arange(5) < 4

        def steps_right(self, y, batch):
            return (np.abs(2 * y - batch.double) < 1).all(axis=-1)

    batch = Weighted(*Own().sample(rng(), 3))
    y = batch.target + 0.4
    y[4] = 7
    assert Own().right(y, batch).all()
    assert Own().error(y, batch) == pytest.approx(np.full(3, 0.32), rel=1e-12)
    assert not Own().right(y + 0.2, batch).any()


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_batches_of_lists_and_any_targets_in_the_padding(task):
    batch = task.sample(rng(), 5)
    y = rng(1).random((*batch.counts.shape, task.m))
    marked = batch.target.copy()
    marked[~batch.counts] = np.nan if task is ADDING else -100
    lists = bptt.Batch(*(a.tolist() for a in batch))
    judges = [task.right, task.error] + ([task.accepts] if task in (REBER, EMBEDDED) else [])
    for judge, other in product(judges, (lists, batch._replace(target=marked))):
        assert (judge(y, other) == judge(y, batch)).all()


def test_a_task_never_sees_the_targets_of_the_padding():
    seen = []

    class Looks(bptt.TemporalOrder):
        def steps_right(self, y, batch):
            seen.append(batch.target[~batch.counts])
            return super().steps_right(y, batch)

    task = Looks(20)
    batch = task.sample(rng(), 5)
    marked = np.where(batch.counts, batch.target, -100)  # what losses elsewhere pass over
    assert task.right(perfect(task, batch), batch._replace(target=marked)).all()
    assert (seen[0] == 0).all()
    assert seen[0].size >= 5 * 19


def test_underflow_is_no_error():
    class Faint(bptt.AddingProblem):
        def draw(self, rng):
            x, target, counts = super().draw(rng)
            return x, 0 * target, counts

    def outputs(x):
        return 1e-160 * np.abs(x[..., :1])

    batch, faint = Faint().sample(rng(), 2), Faint(T=20)
    with np.errstate(all="raise"):
        assert (faint.error(outputs(batch.x), batch) < 1e-319).all()
        assert faint.learned(outputs, rng())
        near = np.eye(2)[XOR.sample(rng(), 1).target] * (1 - 1e-16) + 1e-160
        assert XOR.by_phase(near, XOR.sample(rng(), 1)).max() < 1e-30


def test_grammars_check_their_arguments():
    with pytest.raises(TypeError, match=r"^embedded: got dtype <U5 .*, needs True or False$"):
        bptt.Reber("plain")
    for flag in (False, True):
        assert repr(bptt.Reber(np.bool_(flag))) == repr(bptt.Reber(flag))
    assert REBER.encode(REBER.all_strings(5)).x.shape == (4, 2, 7)
    with pytest.raises(ValueError, match=r"^strings: got none, needs at least one$"):
        REBER.encode(iter(()))
    for wrong in ("B", "", "BTXQE"):
        with pytest.raises(ValueError, match=rf"^strings: got '{wrong}', needs two or more of B"):
            REBER.encode(["BTXSE", wrong])
    with pytest.raises(ValueError, match=r"^batch: sequence 1 leaves the grammar at step 2$"):
        REBER.may_follow(REBER.encode(["BTXSE", "BTVSE"]))
    with pytest.raises(ValueError, match=r"^longest: got 0, needs an integer from 1"):
        list(REBER.all_strings(0))
    with pytest.raises(ValueError, match=r"^count: got 0, needs an integer from 1"):
        REBER.random_strings(rng(), 0)
    with pytest.raises(TypeError, match=r"^rng: got NoneType, needs Generator$"):
        REBER.random_strings(None, 1)
    batch = REBER.encode(["BTXSE"])
    with pytest.raises(ValueError, match=r"^threshold: got 1.5, needs a finite number from 0 to 1"):
        REBER.accepts(np.zeros((4, 1, 7)), batch, threshold=1.5)
    with pytest.raises(TypeError, match=r"^threshold: got None, needs a finite number from 0 to 1"):
        REBER.accepts(np.zeros((4, 1, 7)), batch, threshold=None)
    with pytest.raises(ValueError, match=r"^y: got shape"):
        REBER.accepts(np.zeros((4, 2, 7)), batch)
    with pytest.raises(ValueError, match=r"^y: got shape"):
        XOR.by_phase(np.zeros((4, 2, 2)), XOR.sample(rng(), 2))


def test_what_a_grammar_is_given_is_checked():
    with pytest.raises(ValueError, match=r"^strings: got none, needs at least one$"):
        REBER.encode([])
    with pytest.raises(TypeError, match=r"^rng: got NoneType, needs Generator$"):
        REBER.string(None)
    with pytest.raises(TypeError, match=r"^string: got int, needs str$"):
        REBER.contains(5)
    for ask in (REBER.may_follow, lambda batch: REBER.right(np.zeros((4, 1, 7)), batch)):
        with pytest.raises(TypeError, match=r"^batch: got NoneType, needs Batch$"):
            ask(None)
    batch = REBER.encode(["BTXSE"])
    assert REBER.accepts(np.eye(7)[batch.target], batch, threshold=1).all()
