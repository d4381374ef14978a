// The arithmetic of the explorables: pure functions of numbers, tested against the package bptt.
// Lists that belong to states are indexed by t, as in the formulas; index 0 is the initial state.

/** Each nonlinearity: its value at a, and its slope from a and the value h. */
export const NONLINEARITIES = {
  tanh: [Math.tanh, (a, h) => 1 - h * h],
  logistic: [(a) => 1 / (1 + Math.exp(-a)), (a, h) => h * (1 - h)],
  identity: [(a) => a, () => 1],
  ReLU: [(a) => Math.max(0, a), (a) => (a > 0 ? 1 : 0)],
};

/** One unit: the states h_0 … h_T of h_t = sigma(w h_{t-1} + u x_t), and the slopes sigma'(a_t). */
export function unroll({ w, u, x, h0, sigma = "tanh" }) {
  const [value, slopeAt] = NONLINEARITIES[sigma];
  const h = [h0];
  const slope = [NaN];
  for (const input of x) {
    const a = w * h.at(-1) + u * input;
    h.push(value(a));
    slope.push(slopeAt(a, h.at(-1)));
  }
  return { h, slope };
}

/**
 * The factors of one path, last step first: from h_s back to h_k, or to the use of w at step k.
 * The path to a use of w ends with sigma'(a_k) h_{k-1}, where the product rule leaves w out.
 */
export function path({ h, slope }, w, s, k, toWeight) {
  const factors = [];
  for (let t = s; t > k; t--) factors.push(slope[t] * w);
  if (toWeight) factors.push(slope[k] * h[k - 1]);
  return factors;
}

export const product = (factors) => factors.reduce((total, factor) => total * factor, 1);
export const sum = (terms) => terms.reduce((total, term) => total + term, 0);

/** The summands of dh_T/dw: entry l is the one of lag l. */
export function summands(network) {
  const run = unroll(network);
  const T = network.x.length;
  const terms = network.x.map((_, lag) => product(path(run, network.w, T, T - lag, true)));
  return { ...run, terms };
}

/**
 * A 2 x 2 matrix in real Schur form, as rows, from its eigenvalues and its departure from
 * normality c >= 0 (Henrici 1962): c^2 is what the squared entries exceed the squared |eigenvalues|.
 * `pair` is [l1, l2] for real eigenvalues; for complex ones, `complex` says so, [re, im].
 */
export function schur({ complex, pair: [first, second], c }) {
  if (!complex) return [[first, c], [0, second]];
  const root = Math.hypot(c / 2, second);
  return [[first, root + c / 2], [c / 2 - root, first]];
}

export const times = (W, v) => W.map((row) => row[0] * v[0] + row[1] * v[1]);

/** Inputs of size g that turn by 2.4 radians a step, so that no direction is favoured. */
export const inputs = (g, steps) =>
  Array.from({ length: steps }, (_, i) => [g * Math.cos(2.4 * i), g * Math.sin(2.4 * i)]);

/**
 * The change dh_t = D_t W … D_1 W dh_0 along h_t = tanh(W h_{t-1} + x_t) with h_0 = 0,
 * and the diagonals of the D_t.
 */
export function vectors(W, x, dh0) {
  let h = [0, 0];
  const dh = [dh0];
  const D = [[NaN, NaN]];
  for (const input of x) {
    h = times(W, h).map((a, i) => Math.tanh(a + input[i]));
    D.push(h.map((value) => 1 - value * value));
    dh.push(times(W, dh.at(-1)).map((value, i) => D.at(-1)[i] * value));
  }
  return { D, dh };
}

/**
 * Influence balancing (Tallec and Ollivier 2017): entry l is the summand of lag l, (A^l v)_1, where
 * A keeps half of each unit and takes half of the next, and v is +1 for the first `plus` units and
 * -1 for the others.
 */
export function influence(plus, lags, units = 23) {
  let adjoint = Array.from({ length: units }, (_, i) => (i ? 0 : 1));
  return Array.from({ length: lags }, () => {
    const term = sum(adjoint.map((value, i) => (i < plus ? value : -value)));
    adjoint = adjoint.map((value, i) => (value + (i ? adjoint[i - 1] : 0)) / 2);
    return term;
  });
}

/** The share of lag l that a window of K keeps; segments keep it on average over where their cuts lie. */
export const share = (lag, K, segments) => (lag >= K ? 0 : segments ? 1 - lag / K : 1);

/** What is kept of the sum of the terms, by the length K = 1, 2, … of a window or of segments. */
export function kept(terms, segments) {
  let window = 0;
  let windows = 0; // segments of K are, on average, all windows from 1 to K
  return terms.map((term, i) => {
    window += term;
    windows += window;
    return segments ? windows / (i + 1) : window;
  });
}

/** The largest singular value of a 2 x 2 matrix. */
export const stretch = ([[a, b], [c, d]]) => (Math.hypot(a + d, b - c) + Math.hypot(a - d, b + c)) / 2;

/** The spectral radius of a 2 x 2 matrix. */
export function radius([[a, b], [c, d]]) {
  const middle = (a + d) / 2;
  const square = ((a - d) / 2) ** 2 + b * c;
  return square < 0 ? Math.sqrt(middle ** 2 - square) : Math.abs(middle) + Math.sqrt(square);
}

/**
 * The diagonals of the D_t along h_t = tanh(W h_{t-1} + b + x_t), from step 1 on. The bias b is such
 * that the network can rest in h = `rest`; it begins there, and without inputs it stays.
 */
export function slopes(W, rest, x) {
  const b = times(W, rest).map((a, i) => Math.atanh(rest[i]) - a);
  const still = x.every((input) => input.every((value) => value === 0));
  let h = rest;
  return x.map((input) => {
    if (!still) h = times(W, h).map((a, i) => Math.tanh(a + b[i] + input[i]));
    return h.map((value) => 1 - value * value);
  });
}

/** D W, for a diagonal D. */
export const scaled = (D, W) => W.map((row, i) => row.map((value) => D[i] * value));

/** e to the Lyapunov exponent: the factor per step of a column that all D_t W act on. */
export function growth(W, D) {
  let log = 0;
  let v = [Math.SQRT1_2, Math.SQRT1_2];
  for (const diagonal of D) {
    v = times(scaled(diagonal, W), v);
    const size = Math.hypot(...v);
    if (!size) return 0;
    log += Math.log(size);
    v = v.map((value) => value / size);
  }
  return Math.exp(log / D.length);
}

/** The norms of dh_T/dh_{T-l} for the lags l from 0. */
export function reach(W, D, lags) {
  let [first, second] = [[1, 0], [0, 1]]; // the rows of the product
  const norms = [1];
  for (let lag = 1; lag <= lags; lag++) {
    const [[a, b], [c, d]] = scaled(D.at(-lag), W);
    [first, second] = [first, second].map(([p, q]) => [p * a + q * c, p * b + q * d]);
    norms.push(stretch([first, second]));
  }
  return norms;
}

/**
 * One LSTM unit whose gates stand where they are put: `gates` has [i, f, g, o] of each step, and
 * the inputs make up for what the weights `w`, by i, f, g, o, bring. Of each step, the derivatives
 * of the ways into it: `keep` is dc_t/dc_{t-1}, `into` by i, f and g are those of c_t with respect
 * to h_{t-1}, `past` the one of h_t through o, `exit` is dh_t/dc_t.
 */
export function carousel({ w, gates }) {
  const [c, h, ways] = [[0], [0], [null]];
  for (const [i, f, g, o] of gates) {
    const before = c.at(-1);
    const now = f * before + i * g;
    const out = Math.tanh(now);
    ways.push({ keep: f, into: [g * i * (1 - i) * w[0], before * f * (1 - f) * w[1], i * (1 - g * g) * w[2]],
      past: out * o * (1 - o) * w[3], exit: o * (1 - out * out) });
    c.push(now);
    h.push(o * out);
  }
  return { c, h, ways };
}

/**
 * How a change of c_1 reaches h_T. For each step from 2 on, `flows` has what goes directly and
 * through i, f, g, o: five numbers, whose sum is dh_T/dc_1 at every step. `parts` splits it by the
 * gate that a path, followed back from h_T, meets first: none, i, f, g, o.
 */
export function paths({ ways }) {
  const T = ways.length - 1;
  const [dc, dh] = [[NaN, 1], [NaN, ways[1].exit]]; // with respect to c_1
  for (let t = 2; t <= T; t++) {
    const { keep, into, past, exit } = ways[t];
    dc.push(keep * dc[t - 1] + sum(into) * dh[t - 1]);
    dh.push(exit * dc[t] + past * dh[t - 1]);
  }
  const parts = [0, 0, 0, 0, T > 1 ? ways[T].past * dh[T - 1] : 0];
  const [flows, exits] = [[], []];
  let [ofC, ofH, direct] = [ways[T].exit, 1, ways[T].exit]; // the adjoints of c_t and h_t
  for (let t = T; t > 1; t--) {
    const { keep, into, past } = ways[t];
    const through = into.map((way) => way * dh[t - 1]);
    through.forEach((way, k) => (parts[k + 1] += direct * way));
    flows[t] = [ofC * keep * dc[t - 1], ...through.map((way) => ofC * way), ofH * past * dh[t - 1]];
    exits[t] = ofH * ways[t].exit * dc[t];
    ofH = sum(into) * ofC + past * ofH;
    ofC = keep * ofC + ways[t - 1].exit * ofH;
    direct *= keep;
  }
  parts[0] = direct;
  exits[1] = ofH * ways[1].exit;
  return { flows, exits, parts, whole: dh[T] };
}

/**
 * The sweep over the tape of h_t = tanh(W h_{t-1} + x_t), two units, with losses <g_t, h_t>, which
 * are added in the loop or, if `late`, after it. `assign` names the values that get their messages by
 * =, "W" or "h". A message remembers its loss: returned are the summands that reach W, each with the
 * step t of its loss, the step k of its use of W, and the matrix.
 */
export function swept({ W, x, g, h0, assign, late }) {
  const h = [h0];
  for (const input of x) h.push(times(W, h.at(-1)).map((a, i) => Math.tanh(a + input[i])));
  const steps = x.map((_, i) => i + 1);
  const losses = steps.map((t) => ({ t, loss: true }));
  const program = late ? [...steps.map((t) => ({ t })), ...losses]
    : steps.flatMap((t) => [{ t }, losses[t - 1]]);
  const receive = (name, old, messages) => (assign.includes(name) ? messages : [...old, ...messages]);
  const bars = h.map(() => []);
  const turned = [[W[0][0], W[1][0]], [W[0][1], W[1][1]]];
  let found = [];
  for (const { t, loss } of program.reverse()) {
    if (loss) {
      bars[t] = receive("h", bars[t], [{ t, bar: g[t - 1] }]);
      continue;
    }
    const deltas = bars[t].map((one) =>
      ({ t: one.t, bar: one.bar.map((value, i) => value * (1 - h[t][i] ** 2)) }));
    found = receive("W", found, deltas.map((delta) =>
      ({ t: delta.t, k: t, term: delta.bar.flatMap((value) => h[t - 1].map((state) => value * state)) })));
    bars[t - 1] = receive("h", bars[t - 1],
      deltas.map((delta) => ({ t: delta.t, bar: times(turned, delta.bar) })));
  }
  return found;
}

/**
 * The scan of the affine steps (a_t, b_t) as a tree. After each round, the pair that stands at each
 * place, where it begins, and which places the round has joined: [from, to], all counted from 0.
 */
export function scanRounds(a, b) {
  const rounds = [{ a, b, first: a.map((_, t) => t), joins: [] }];
  const join = (start, reach) => {
    const before = rounds.at(-1);
    const now = { a: [...before.a], b: [...before.b], first: [...before.first], joins: [] };
    for (let to = start; to < a.length; to += 2 * reach) {
      const from = to - reach;
      now.a[to] = before.a[to] * before.a[from];
      now.b[to] = before.a[to] * before.b[from] + before.b[to];
      now.first[to] = before.first[from];
      now.joins.push([from, to]);
    }
    if (now.joins.length) rounds.push(now);
  };
  let reach = 1;
  for (; 2 * reach <= a.length; reach *= 2) join(2 * reach - 1, reach);
  for (reach /= 2; reach >= 1; reach /= 2) join(3 * reach - 1, reach);
  return rounds;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Number k of a text of numbers from 0 to 1, which have `width` digits of base 64 each. */
export function digits(text, width, k) {
  let value = 0;
  for (const digit of text.slice(width * k, width * (k + 1))) value = 64 * value + DIGITS.indexOf(digit);
  return value / (64 ** width - 1);
}

/**
 * Networks of n units with one noisy input, and a loss g on the last state: W with entries of
 * variance 1/n, u, x and g of variance 1, all uniform, from a linear congruential generator.
 */
export function drawn(count, n, steps) {
  let seed = 1;
  const uniform = () => {
    seed = (1664525 * seed + 1013904223) % 2 ** 32;
    return Math.sqrt(3) * (seed / 2 ** 31 - 1);
  };
  const list = (length) => Array.from({ length }, uniform);
  return Array.from({ length: count }, () => ({
    W: Array.from({ length: n }, () => list(n).map((value) => value / Math.sqrt(n))),
    u: list(n), x: list(steps), g: list(n),
  }));
}

const dot = (u, v) => sum(u.map((value, i) => value * v[i]));

/**
 * Leaky units h_t = (1 - a) h_{t-1} + a tanh(W h_{t-1} + u x_t), h_0 = 0, and the summands by lag of
 * the gradient of g . h_T by W, as they are and with S in place of W wherever the past comes in, up
 * to a window. Of each lag the two lengths and their cosine; `cosine` is that of the two sums.
 */
export function online({ W, u, x, g }, a, S, window = Infinity) {
  const run = [{ h: g.map(() => 0) }];
  for (const input of x) {
    const { h } = run.at(-1);
    const inner = W.map((row, i) => Math.tanh(dot(row, h) + u[i] * input));
    run.push({ before: h, D: inner.map((f) => a * (1 - f * f)),
      h: h.map((value, i) => (1 - a) * value + a * inner[i]) });
  }
  let adjoints = [g, g];
  const sums = [[], []];
  const lags = run.slice(1).reverse().map(({ before, D }, lag) => {
    const arrive = adjoints.map((v, k) => v.map((value, i) => (k && lag >= window ? 0 : D[i] * value)));
    adjoints = arrive.map((delta, k) => delta.map((_, j) =>
      (1 - a) * adjoints[k][j] + dot(delta, (k ? S : W).map((row) => row[j]))));
    arrive.forEach((delta, k) => delta.forEach((d, i) => before.forEach((value, j) => {
      const place = i * before.length + j;
      sums[k][place] = (sums[k][place] ?? 0) + d * value;
    })));
    const size = Math.sqrt(dot(before, before));
    const [whole, kept] = arrive.map((delta) => size * Math.sqrt(dot(delta, delta)));
    return { whole, kept, cosine: angle(...arrive) };
  });
  return { lags, cosine: angle(...sums) };
}

/** The cosine of the angle between two lists; 0 if one has no length. */
const angle = (u, v) => dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v)) || 0;

/** The middle one of an odd number of values, or the mean of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return (sorted[Math.floor(half)] + sorted[Math.ceil(half)]) / 2;
}
