// The arithmetic of the explorables: pure functions of numbers, tested against the package bptt.
// Lists that belong to states are indexed by t, as in the formulas; index 0 is the first state.

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
