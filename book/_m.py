# ---
# jupyter:
#   jupytext:
#     default_lexer: ipython3
#     notebook_metadata_filter: all,-language_info,-jupytext.text_representation.format_version,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   myst:
#     html_meta:
#       description: What becomes of backpropagation through time where there are no
#         steps. At a fixed point the sum is a geometric series and implicit differentiation,
#         in continuous time an integral and the adjoint equation, in attention a sum
#         over pairs with no power of a Jacobian.
# ---

# %% [markdown]
# # At rest, in continuous time, without time
#
# **What becomes of the sum over time steps when there are no steps?** It stays, and only the product in each summand
# changes. In a network at rest all factors are the same: the sum is a geometric series, and implicit differentiation is
# its value. In continuous time the sum is an integral, and the backward sweep is a differential equation. In attention
# every pair of positions meets directly: one product for each pair, as long for distant pairs as for near ones. And
# depth is time again, with or without shared weights. So this chapter asks the question of the book's first page once
# more: what depends on what, and through how many factors?
#
# ```{guide}
# You need
# : the summands by lag of [Any length](any-length), the adjoint of [Backward](backward.md), windows from [Cutting it short](truncation), and the leaky unit {eq}`def-rem-leaky`.
#
# After it you can
# : differentiate a network at rest with one linear solve, and say what a cheaper gradient leaves out; derive the adjoint equation from backpropagation through time, and tell the gradient of a program from the gradient of an equation; differentiate attention by hand; and count the factors between two states in any of these networks.
# ```

# %% tags=["hide-input"]
from functools import reduce
from itertools import product
from math import comb

import matplotlib.pyplot as plt
import numpy as np
from booktools import style
from booktools.tables import Table, percent, spread, written
def glue(k,v,display=False): pass
from numpy.linalg import norm, solve

from bptt import (
    ELMAN, Params, backward, complex_step, init, summands, truncated, unroll, verified,
)
from bptt.examples import along
from experiments.remedies import Leaky

style.use()


# %% [markdown]
# ## At rest: a geometric series
#
# Give a network the same input at every step. Often its state settles, and then every step maps it to itself:
#
# $$
# h^* = \tanh(W h^* + q), \qquad q = U x + b .
# $$ (def-bey-rest)
#
# How does this state move when $W$ does? The product rule gives its two terms as always, but now the state before *is*
# the state after:
#
# $$
# \begin{aligned}
# \mathrm{d}h^* &= D\, \mathrm{d}W\, h^* + J\, \mathrm{d}h^* , \\
# J &= D W .
# \end{aligned}
# $$ (eq-bey-rest)
#
# At rest the rule is no recursion but an equation, with $\mathrm{d}h^*$ on both sides. Solve it, and take it to the
# other side of the inner product with $g = \nabla_{h^*} L$:
#
# $$
# \begin{aligned}
# \nabla_W L &= \delta\, h^{*\top} , \\
# \delta &= D\, (I - J^\top)^{-1} g .
# \end{aligned}
# $$ (eq-bey-implicit)
#
# This is *implicit differentiation*. It needs no run and no sweep, only the state and one linear system:

# %%
def implicit(W, h, g):
    """delta, from the state at rest alone."""
    D = np.diag(1 - h**2)
    return D @ solve(np.eye(len(h)) - W.T @ D, g)


# %% tags=["check"]
def settle(W, q, steps=600):
    h = 0 * q
    for _ in range(steps):
        h = np.tanh(W @ h + q)
    return h

def at_rest(n, size, seed, steps=600):
    """Random weights of this spectral norm, an input, the rest, and a gradient g."""
    rng = np.random.default_rng([seed, n])
    W = rng.standard_normal((n, n))
    W *= size / norm(W, 2)
    q = 0.3 * rng.standard_normal(n)
    return W, q, settle(W, q, steps), rng.standard_normal(n)

rests = [at_rest(1, 0.9, 0), at_rest(3, 0.5, 0), at_rest(5, 0.9, 1)]


# %%
def both_sides(W, q, h, g):
    dW = np.random.default_rng(len(h)).standard_normal(W.shape)
    dh = along(lambda W: settle(W, q), W, dW)
    D = np.diag(1 - h**2)
    return dh, D @ dW @ h + D @ W @ dh

left, right = zip(*(both_sides(*rest) for rest in rests))
verified("eq-bey-rest", left, right, tol=1e-14)

# %%
by_step = [complex_step(lambda W: (g * settle(W, q)).sum(), W) for W, q, h, g in rests]
verified("eq-bey-implicit", by_step,
         [np.outer(implicit(W, h, g), h) for W, q, h, g in rests], tol=1e-14)


# %% [markdown]
# **Where is the sum?** Start the recurrent network in $h^*$ and let it run. It stays there, so all its states are equal,
# and all its Jacobians. The summand of lag $\ell$ is the one of [Any length](any-length) with equal factors, and if the
# spectral radius of $J$ is below 1, all of them add up to the implicit gradient:
#
# $$
# \begin{aligned}
# G^{(\ell)} &= D\, (J^\top)^\ell g\, h^{*\top} , \\
# \sum_{\ell=0}^{\infty} G^{(\ell)} &= D\, (I - J^\top)^{-1} g\, h^{*\top} .
# \end{aligned}
# $$ (eq-bey-series)

# %% tags=["check"]
def resting_run(W, q, h, g, T):
    """The recurrent network that rests in h, with a loss at its last step."""
    params = Params(W, np.zeros((len(h), 1)), q)
    dh = np.zeros((T, 1, len(h)))
    dh[-1] = g
    return unroll(ELMAN, params, np.zeros((T, 1, 1)), h[None]), dh

def by_powers(W, q, h, g, lags):
    D = np.diag(1 - h**2)
    powers = [np.linalg.matrix_power(W.T @ D, lag) for lag in range(lags)]
    return np.array([np.outer(D @ power @ g, h) for power in powers])


# %%
verified("eq-bey-series", [summands(*resting_run(*rest, 9)).W for rest in rests],
         [by_powers(*rest, 9) for rest in rests], tol=1e-13)
verified("eq-bey-series", [backward(*resting_run(*rest, 400)).W for rest in rests],
         [np.outer(implicit(W, h, g), h) for W, q, h, g in rests], tol=1e-14)


# %% [markdown]
# So backpropagation through time, over ever more steps, *is* implicit differentiation, term by term. Whoever stops the
# series early truncates. The iteration $\lambda \leftarrow g + J^\top \lambda$, started at $g$, adds one lag each
# time. It is the old *recurrent backpropagation*, proposed by Almeida and by Pineda in 1987
# {cite}`pineda1987generalization`, and it has been read as a Neumann series and compared with truncation before
# {cite}`liao2018reviving`. *Deep equilibrium models* find $h^*$ by a root solver and differentiate by
# {eq}`eq-bey-implicit`, in the memory of a single step {cite}`bai2019deep`. *Jacobian-free* backpropagation spares the
# solve {cite}`fung2022jfb`: it replaces the inverse by $I$, and that is lag 0 alone.
#
# **How much does a window lose?** With $\kappa = \lVert W D \rVert_2$, the gradient $\nabla^{(K)} L$ of the first $K$ lags obeys
#
# $$
# \begin{aligned}
# \frac{\lVert \nabla^{(K)} L - \nabla_W L \rVert}{\lVert \nabla_W L \rVert} &\le \kappa^K , \\
# \cos\bigl(\nabla^{(K)} L, \nabla_W L\bigr) &\ge \sqrt{1 - \kappa^{2K}} ,
# \end{aligned}
# $$ (eq-bey-window)
#
# the second for $\kappa < 1$. For $\delta = D g + D W^\top \delta$, so what is left after $K$ lags is $(D W^\top)^K \delta$, whose norm is at most
# $\kappa^K \lVert \delta \rVert$. A vector that differs from $\delta$ by that much encloses with it an angle of at most $\arcsin \kappa^K$.
# Slopes are at most 1, so $\kappa \le \lVert W \rVert_2$: **below a norm of 1, lag 0 always points downhill**, for one sequence
# at a time. At larger norms it [need not](ex-bey-uphill).

# %% tags=["check"]
def cosine(A, B):
    return (A * B).sum() / norm(A) / norm(B)

def window(W, h, g, K):
    """The first K lags of delta."""
    slope, part = 1 - h**2, 0 * g
    for _ in range(K):
        part = slope * (g + W.T @ part)
    return part

sizes = (0.5, 0.9, 0.99)
nets = {size: [at_rest(16, size, seed, 3000) for seed in range(20)] for size in sizes}
cases = [(W, h, g, K) for size in sizes for W, _, h, g in nets[size][:10]
         for K in (1, 2, 5)]
parts, wholes = zip(*((window(*case), implicit(*case[:3])) for case in cases))
kappas = np.array([norm(W * (1 - h**2), 2) ** K for W, h, g, K in cases])

# %%
verified("eq-bey-window",
         [norm(part - whole) / norm(whole) for part, whole in zip(parts, wholes)],
         list(kappas), tol=0, relation="<=")
verified("eq-bey-window", list(np.sqrt(1 - kappas**2)),
         [cosine(part, whole) for part, whole in zip(parts, wholes)],
         tol=0, relation="<=")
for W, q, h, g in rests:  # the window is the package's
    for K in (1, 3, 7):
        gap = truncated(*resting_run(W, q, h, g, 12), K).W - np.outer(window(W, h, g, K), h)
        assert abs(gap).max() < 1e-14


# %% tags=["hide-input"]
def lost(W, q, h, g):
    """kappa; the error and the cosine of lag 0; lags needed for an error of a millionth."""
    whole, K = implicit(W, h, g), 1
    first = window(W, h, g, 1)
    while norm(window(W, h, g, K) - whole) > 1e-6 * norm(whole):
        K += 1
    return norm(W * (1 - h**2), 2), norm(first - whole) / norm(whole), cosine(first, whole), K

found = {size: list(zip(*(lost(*net) for net in nets[size]))) for size in sizes}
Table("Lag 0 alone is off by a quarter to a half and still points roughly the right way. "
      "(16 units, median and range of 20 random networks.)",
      {r"$\lVert W \rVert_2$": [f"{size:g}" for size in sizes],
       r"$\kappa$": [spread(found[size][0]) for size in sizes],
       "error of lag 0": [spread(found[size][1], percent) for size in sizes],
       "its cosine": [spread(found[size][2]) for size in sizes],
       "lags to $10^{-6}$": [spread(found[size][3], lambda K: str(int(K))) for size in sizes]},
      name="tab-bey-lost")


# %% [markdown]
# ### An unstable rest answers another question
#
# A pencil on its tip is at rest, too. If $J$ has an eigenvalue outside the unit circle, no run settles in $h^*$, the series diverges, and
# {eq}`eq-bey-implicit` still has a value. Which is right? Insert {eq}`eq-bey-rest` into itself $T$ times:
#
# $$
# \mathrm{d}h^* = \sum_{\ell=0}^{T-1} J^\ell D\, \mathrm{d}W\, h^* + J^T\, \mathrm{d}h^* .
# $$ (eq-bey-remainder)
#
# It holds for every $T$ and every $J$. The sum is what backpropagation through time adds up. The last term is the
# one that we dropped in chapter 2: *the initial state moves*. Backpropagation holds it fixed and asks where the run
# ends. Implicit differentiation lets it move and asks where the network rests. Near a stable rest the start is forgotten, and
# the two agree. At an unstable one they are two questions with two answers.

# %% tags=["check"]
def balanced(n, gain, seed):
    """A network that rests in a given h, stable or not, and a change of W."""
    rng = np.random.default_rng([seed, n])
    W = gain * rng.standard_normal((n, n)) / np.sqrt(n)
    h = rng.uniform(-0.6, 0.6, n)
    return W, np.arctanh(h) - W @ h, h, rng.standard_normal((n, n))

def moved(W, q, h, dW, dh, T):
    """The change of h_T in a run of which W moves by dW and the initial state by dh."""
    def last(W, h):
        for _ in range(T):
            h = np.tanh(W @ h + q)
        return h
    return along(lambda Wh: last(Wh[:, :-1], Wh[:, -1]),
                 np.column_stack([W, h]), np.column_stack([dW, dh]))


# %%
places = [(*balanced(n, gain, seed), T) for n, gain, seed, T in
          ((1, 3, 0, 5), (4, 0.7, 1, 9), (4, 3, 2, 7))]
rest_moves = [solve(np.eye(len(h)) - (1 - h**2)[:, None] * W, (1 - h**2) * (dW @ h))
              for W, q, h, dW, T in places]
runs = [moved(W, q, h, dW, dh, T) for (W, q, h, dW, T), dh in zip(places, rest_moves)]
verified("eq-bey-remainder", runs, rest_moves, tol=1e-11)

def summed(W, h, dW, dh, T):
    D, power = np.diag(1 - h**2), np.linalg.matrix_power
    return sum(power(D @ W, lag) @ D @ dW @ h for lag in range(T)) + power(D @ W, T) @ dh

verified("eq-bey-remainder", rest_moves,
         [summed(W, h, dW, dh, T) for (W, q, h, dW, T), dh in zip(places, rest_moves)],
         tol=1e-11)

# %% tags=["hide-input"]
w, h = 3.0, 0.5
mu = w * (1 - h**2)
rest_moves = (1 - h**2) * h / (1 - mu)
end_moves = moved(np.array([[w]]), np.arctanh(h) - w * h, np.array([h]), np.eye(1),
                  np.zeros(1), 20)[0]
# the branch of rests through (w, h), as w of h, which needs no formula of ours
q = np.arctanh(h) - w * h
slope = along(lambda h: (np.arctanh(h) - q) / h, h, 1.0)
assert abs(slope * rest_moves - 1) < 1e-14
for name, value in {"mu": f"{mu:.2f}", "rest": f"{rest_moves:.1f}".replace("-", "−"),
                    "end": written(float(end_moves))}.items():
    glue(f"bey-{name}", value, display=False)

# %% [markdown]
# For one unit with $w = 3$ that rests in $h^* = \frac12$, $J$ is {glue:text}`bey-mu`. The rest moves by
# {glue:text}`bey-rest` for each unit of $w$; a run of 20 steps that starts there ends up farther out by {glue:text}`bey-end`, with the other sign.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-bey-rest", "caption": "Adding up the lags at rest: the distance to the implicit gradient falls by a factor with each lag where the rest is stable (median and range of 20 networks of 16 units), and grows where it is not (one unit, $J = 2.25$)."}, "image": {"alt": "Relative error on a logarithmic axis against the number of lags, from 1 to 24. Two lines with bands fall straight, the steeper one for norm 0.5. A third line, for an unstable rest, rises straight."}}
lags = np.arange(1, 25)
fig, ax = plt.subplots(figsize=(5.4, 3.6))
for size, color in ((0.5, style.BLUE), (0.99, style.PURPLE)):
    off = np.array([[norm(window(W, h, g, K) - implicit(W, h, g)) / norm(implicit(W, h, g))
                     for K in lags] for W, q, h, g in nets[size]])
    ax.fill_between(lags, off.min(axis=0), off.max(axis=0), color=color, alpha=0.2, lw=0)
    ax.plot(lags, np.median(off, axis=0), color=color)
    ax.text(24.3, np.median(off, axis=0)[-1], rf"$\Vert W\Vert_2 = {size}$", color=color,
            va="center")
ax.plot(lags, mu ** lags, color=style.VERMILLION)
ax.text(24.3, mu ** 24.0, "unstable", color=style.VERMILLION, va="center")
ax.set(yscale="log", xlabel="lags added up", ylabel="relative error");


# %% [markdown]
# ## In continuous time: an integral
#
# Now let a step be short. A leaky unit moves a share $a$ of the way to its new value; read $a$ as a length of time, let
# it tend to 0, and the network becomes a differential equation with the input $x(t)$:
#
# $$
# \dot h = -h + \tanh(W h + U x + b) .
# $$ (def-bey-flow)
#
# The leaky network {eq}`def-rem-leaky` is Euler's method for it, with steps of length $a$. The product rule holds at every
# moment. With the slopes $D(t)$ in a diagonal matrix as before,
#
# $$
# \frac{\mathrm{d}}{\mathrm{d}t}\, \mathrm{d}h = D\, \mathrm{d}W\, h + (D W - I)\, \mathrm{d}h .
# $$ (eq-bey-variation)
#
# The uses of $W$ can no longer be counted; it is used all the time. What was a sum over uses is an integral, and what
# was the adjoint's recursion is an equation that runs back from the end. For a loss on $h(T)$ with gradient $g$:
#
# $$
# \begin{aligned}
# -\dot \lambda &= W^\top D \lambda - \lambda , \qquad \lambda(T) = g , \\
# \nabla_W L &= \int_0^T D \lambda\, h^\top \,\mathrm{d}t .
# \end{aligned}
# $$ (eq-bey-adjoint)
#
# Losses on the way add their gradients to the first line, as they did in {eq}`eq-bwd-adjoint`. This is the [costate](backward.md) in its first home, and it is how *neural
# ordinary differential equations* are trained {cite}`chen2018neural`. If the net is at rest and $g$ enters all the time, the
# adjoint comes to rest as well, in $(I - J^\top)^{-1} g$: that is the form in which Pineda has it {cite}`pineda1987generalization`.

# %% tags=["check"]
def flowing(n, seed):
    """Random weights, an initial state and a gradient at the end."""
    rng = np.random.default_rng([seed, n])
    return init(ELMAN, 2, n, rng=rng), rng.uniform(-1, 1, n), rng.standard_normal(n)

def side_by_side(n, seeds):
    """Several such networks in arrays with one more axis, in front."""
    params, *ends = zip(*(flowing(n, seed) for seed in seeds))
    return Params(*map(np.array, zip(*params))), *map(np.array, ends)

def activation(params, h, t):
    """W h + U x + b at time t."""
    x = np.array([[np.sin(t)], [np.cos(2 * t)]])
    return (params.W @ h[..., None] + params.U @ x)[..., 0] + params.b

def rk4(f, y, start, end, steps):
    """The classical method of Runge and Kutta."""
    a = (end - start) / steps
    for t in start + a * np.arange(steps):
        k1 = f(t, y)
        k2 = f(t + a / 2, y + a / 2 * k1)
        k3 = f(t + a / 2, y + a / 2 * k2)
        y = y + a / 6 * (k1 + 2 * k2 + 2 * k3 + f(t + a, y + a * k3))
    return y

def ahead(params, h, start, end, steps):
    return rk4(lambda t, h: np.tanh(activation(params, h, t)) - h, h, start, end, steps)

flows = [flowing(1, 0), flowing(3, 0)]


# %%
def varied(params, h0, g, dW):
    """dh(T), with the equation for dh solved beside that for h."""
    def both(t, y):
        (h, dh), phi = y, np.tanh(activation(params, y[0], t))
        D = np.diag(1 - phi**2)
        return np.array([phi - h, D @ dW @ h + D @ params.W @ dh - dh])
    return rk4(both, np.array([h0, 0 * h0]), 0, 2, 100)[1]

changes = [np.random.default_rng(1).standard_normal(flow[0].W.shape) for flow in flows]
verified("eq-bey-variation",
         [along(lambda W: ahead(params._replace(W=W), h0, 0, 2, 100), params.W, dW)
          for (params, h0, g), dW in zip(flows, changes)],
         [varied(*flow, dW) for flow, dW in zip(flows, changes)], tol=1e-14)


# %%
def sent_back(params, h, lam, start, end, steps):
    """Back from end to start: the gradient on the way, and h and the adjoint at start."""
    n = h.shape[-1]
    def back(t, y):
        h, lam = y[..., :n], y[..., n:2 * n]
        phi = np.tanh(activation(params, h, t))
        delta = (1 - phi**2) * lam
        pulled = (delta[..., None, :] @ params.W)[..., 0, :]
        rate = -delta[..., :, None] * h[..., None, :]
        return np.concatenate([phi - h, lam - pulled, rate.reshape(*h.shape[:-1], n * n)], axis=-1)
    y = np.concatenate([h, lam, np.zeros((*h.shape[:-1], n * n))], axis=-1)
    h, lam, total = np.split(rk4(back, y, end, start, steps), [n, 2 * n], axis=-1)
    return total.reshape(*total.shape[:-1], n, n), h, lam

def adjoint_equation(params, h0, g, T, steps):
    return sent_back(params, ahead(params, h0, 0, T, steps), g, 0, T, steps)[:2]

by_step = [complex_step(lambda W: (g * ahead(params._replace(W=W), h0, 0, 2, 200)).sum(),
                        params.W) for params, h0, g in flows]
verified("eq-bey-adjoint", by_step, [adjoint_equation(*flow, 2, 200)[0] for flow in flows],
         tol=1e-8)


# %% [markdown]
# **Differentiate first, or discretise first?** A program takes steps. Backpropagation through the steps of Euler's method
# gives, with $D_t$ for the slopes in step $t$, which starts from $h_{t-1}$,
#
# $$
# \begin{aligned}
# \lambda_{t-1} &= \lambda_t + a\, (W^\top D_t - I)\, \lambda_t , \\
# \nabla_W L &= a \sum_{t} D_t \lambda_t\, h_{t-1}^\top .
# \end{aligned}
# $$ (eq-bey-euler)
#
# It is the leaky network's sweep, and as $a \to 0$ it becomes {eq}`eq-bey-adjoint`. Now do it the other way round: take the adjoint equation, and solve it from $T$
# back by Euler's method. The same two lines come out, with $D_{t+1}$ for $D_t$ and $h_t$ for $h_{t-1}$, for this step starts at the other end.

# %%
def sweep(W, h, u, g, a, late=0):
    """Back over Euler's steps; late=1 takes the slopes at the end of each step."""
    lam, total = g, 0
    for t in reversed(range(len(h) - 1)):
        k = t + late
        delta = a * (1 - np.tanh(W @ h[k] + u[k]) ** 2) * lam
        lam, total = (1 - a) * lam + W.T @ delta, total + np.outer(delta, h[k])
    return total


# %% tags=["check"]
def leaky(params, h0, a, T):
    """Euler's states, by the package's leaky cell, and U x + b at the same times."""
    times = a * np.arange(round(T / a) + 1)
    x = np.column_stack([np.sin(times), np.cos(2 * times)])
    run = unroll(Leaky(a), params, x[:-1, None], h0[None])
    return run.h[:, 0], x @ params.U.T + params.b

def euler(params, h0, g, a, T, late=0):
    h, u = leaky(params, h0, a, T)
    return sweep(params.W, h, u, g, a, late)

def of_program(params, h0, g, a, T):
    """The gradient of what Euler's program computes."""
    return complex_step(lambda W: (g * leaky(params._replace(W=W), h0, a, T)[0][-1]).sum(),
                        params.W)


# %%
steps = [(*flow, a, 2) for flow in flows for a in (0.5, 0.1)]
verified("eq-bey-euler", [of_program(*case) for case in steps],
         [euler(*case) for case in steps], tol=1e-14)

# %% tags=["hide-input"]
lengths = (0.1, 0.05, 0.025, 0.0125)
T = 3
drawn = [flowing(4, seed) for seed in range(10)]
limits = adjoint_equation(*side_by_side(4, range(10)), T, 240)[0]

def apart(way, a):
    """Relative distances to the limit, over the networks."""
    return [norm(euler(*flow, a, T, way) - limit) / norm(limit)
            for flow, limit in zip(drawn, limits)]

table = {way: np.array([apart(way, a) for a in lengths]) for way in (0, 1)}
programs = [max(norm(euler(*flow, a, T, late) - of_program(*flow, a, T))
                / norm(of_program(*flow, a, T)) for flow in drawn[:3])
            for a in lengths[:2] for late in (0, 1)]
assert programs[0] < 1e-13 and programs[2] < 1e-13 and programs[1] > 1e-3
orders = np.log2([table[way][-2] / table[way][-1] for way in (0, 1)])
glue("bey-orders", spread(orders, lambda v: f"{v:.2f}"), display=False)
Table("Both gradients tend to that of the equation, the error halving with the step; neither is always nearer. "
      "(Relative error, median and range of 10 networks of 4 units, $T = 3$.)",
      {"$a$": [f"{a:g}" for a in lengths],
       "discretised, then differentiated": [spread(row, percent) for row in table[0]],
       "differentiated, then discretised": [spread(row, percent) for row in table[1]]},
      name="tab-bey-orders")


# %% [markdown]
# The two differ by one index. Both converge at first order (measured between the last two rows: {glue:text}`bey-orders`). But only the first is
# the gradient of the number that the program prints. A gradient check passes it at every $a$ and refuses the other.
#
# **The way back forgets.** The adjoint equation needs $h(t)$ in reverse order. One can keep it, or let the flow run backwards from $h(T)$ and keep nothing, as
# neural differential equations first did {cite}`chen2018neural`. Is that safe? Let $\Phi$ be the derivative of $h(T)$ with respect to $h(0)$. By a formula of Liouville its
# determinant is
#
# $$
# \det \Phi = \exp \int_0^T \operatorname{tr}(D W - I)\, \mathrm{d}t .
# $$ (eq-bey-volume)

# %%
def volume(params, h0, T=2, steps=200):
    """The determinant of the derivative, and the exponential of the integral."""
    end = [along(lambda h: ahead(params, h, 0, T, steps), h0, e) for e in np.eye(len(h0))]
    def with_trace(t, y):
        phi = np.tanh(activation(params, y[:-1], t))
        trace = ((1 - phi**2) * np.diag(params.W) - 1).sum()
        return np.append(phi - y[:-1], trace)
    return np.linalg.det(end), np.exp(rk4(with_trace, np.append(h0, 0), 0, T, steps)[-1])

left, right = zip(*(volume(params, h0) for params, h0, _ in flows))
verified("eq-bey-volume", left, right, tol=1e-8)


# %% [markdown]
# The trace of $D W$ is small in a random network, so volumes shrink by about $e^{-nT}$, each direction by $e^{-T}$ on average: the leak forgets. [A step that can be
# undone](memory.md) had the determinant 1. On the way back, what was shrunk grows again, and with it every error in $h(T)$. An average direction uses up the 16 digits of a number in a time of 37,
# the fastest ones much sooner.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-bey-back", "caption": "The state run back from $h(T)$ to $h(0)$, and the gradient found on the way. The state is soon lost. The gradient of a network as PyTorch draws it hardly minds, for what the flow has forgotten counts little in it; with $2.5\\, W$ it remembers more and is wrong by several per cent. Kept states have no such error. (8 units, Runge\u2013Kutta steps of 0.05, median and range of 10 networks.)"}, "image": {"alt": "Relative error on a logarithmic axis against the length of the run, from 2 to 20. The line of the state rises straight, from a ten-millionth to above 100. Two lines for gradients rise and level off, one near a thousandth, the other near a tenth."}}
def relative(found, right):
    """Of each network."""
    found, right = (one.reshape(len(one), -1) for one in (found, right))
    return norm(found - right, axis=1) / norm(right, axis=1)

def way_back(gain, durations, per_unit=20):
    """Errors of h(0), and of the gradient found with it, run back from h(T)."""
    params, h0, g = side_by_side(8, range(10))
    params, kept, errors = params._replace(W=gain * params.W), [h0], []
    for t in range(durations[-1]):  # kept once a unit of time
        kept.append(ahead(params, kept[-1], t, t + 1, per_unit))
    for T in durations:
        found, start, _ = sent_back(params, kept[T], g, 0, T, T * per_unit)
        lam, right = g, 0
        for t in reversed(range(T)):
            part, _, lam = sent_back(params, kept[t + 1], lam, t, t + 1, per_unit)
            right = right + part
        errors.append([relative(start, h0), relative(found, right)])
    return np.array(errors)

durations = (2, 4, 7, 10, 13, 16, 20)
plain, strong = (way_back(gain, durations) for gain in (1, 2.5))
for key, found in (("plain", plain), ("strong", strong)):
    glue(f"bey-back-{key}", spread(found[-1, 1], lambda v: percent(v, 1)), display=False)
fig, ax = plt.subplots(figsize=(5.4, 3.6))
for found, color, name in ((plain[:, 0], style.BLUE, "state"),
                           (plain[:, 1], style.VERMILLION, "gradient"),
                           (strong[:, 1], style.PURPLE, "gradient, $2.5\\,W$")):
    ax.fill_between(durations, found.min(axis=1), found.max(axis=1), color=color, alpha=0.2, lw=0)
    ax.plot(durations, np.median(found, axis=1), color=color)
    ax.text(20.4, np.median(found[-1]), name, color=color, va="center")
ax.set(yscale="log", xlabel="length of the run", ylabel="relative error",
       xticks=range(0, 21, 5));


# %% [markdown]
# After a run of length 20 the state that was run back has nothing in common with the initial state. The gradient is off by {glue:text}`bey-back-plain`, with the stronger weights by
# {glue:text}`bey-back-strong`: **the longer the memory, the more the lost past matters.**
#
# That the reverse run may be unstable, and that differentiating first gives inconsistent gradients, was soon pointed out {cite}`gholami2019anode`. A user whose solver got
# stuck on its way back suspected just this {cite}`torchdiffeq249`, and a library of today goes back through its solver's own steps unless told otherwise {cite}`diffraxadjoints`. The cure is that of [Memory](memory.md): keep some states, and
# run forward again between them.
#
# ## Without time: attention
#
# A network of the third kind has no state that is carried on. At position $t$ it looks at all inputs so far and takes a mean of what it sees, with weights that it
# computes by comparing {cite}`vaswani2017attention`:
#
# $$
# \begin{aligned}
# h_t &= \sum_{k \le t} \alpha_{t,k}\, W^V x_k , \\
# \alpha_{t,k} &= \frac{\exp \beta_{t,k}}{\sum_{j \le t} \exp \beta_{t,j}} , \\
# \beta_{t,k} &= \tfrac{1}{\sqrt n} \langle W^Q x_t,\, W^K x_k \rangle .
# \end{aligned}
# $$ (def-bey-attention)

# %%
def attend(Q, K, V, x):
    """alpha (T, T), and h (T, n)."""
    weights = np.tril(np.exp((x @ Q.T) @ (x @ K.T).T / np.sqrt(len(Q))))
    alpha = weights / weights.sum(axis=1, keepdims=True)
    return alpha, alpha @ x @ V.T


# %% [markdown]
# All positions share three matrices, and both factors of each product depend on them. So the product rule applies twice, and softmax has a derivative of its own:
#
# $$
# \begin{aligned}
# \mathrm{d}h_t &= \sum_{k \le t} \bigl(\mathrm{d}\alpha_{t,k}\, W^V x_k + \alpha_{t,k}\, \mathrm{d}W^V x_k\bigr) , \\
# \mathrm{d}\alpha_{t,k} &= \alpha_{t,k} \Bigl(\mathrm{d}\beta_{t,k} - \sum_{j \le t} \alpha_{t,j}\, \mathrm{d}\beta_{t,j}\Bigr) , \\
# \mathrm{d}\beta_{t,k} &= \tfrac{1}{\sqrt n} \bigl(\langle \mathrm{d}W^Q x_t, W^K x_k \rangle \\
# &\qquad + \langle W^Q x_t, \mathrm{d}W^K x_k \rangle\bigr) .
# \end{aligned}
# $$ (eq-bey-attention)

# %% tags=["check"]
def positions(T, d, n, seed=0):
    """Three matrices in one array, inputs, and a gradient at each position."""
    rng = np.random.default_rng([seed, T, d, n])
    return (rng.standard_normal((3, n, d)) / np.sqrt(d), rng.standard_normal((T, d)),
            rng.standard_normal((T, n)))

looks = [positions(3, 2, 4), positions(9, 3, 2), positions(6, 1, 1)]


# %%
def three_rules(M, x, dM):
    """dh, from the three lines."""
    (Q, K, V), (dQ, dK, dV), (alpha, _) = M, dM, attend(*M, x)
    scores = ((x @ dQ.T) @ (x @ K.T).T + (x @ Q.T) @ (x @ dK.T).T) / np.sqrt(len(Q))
    d_alpha = alpha * (scores - (alpha * scores).sum(axis=1, keepdims=True))
    return d_alpha @ x @ V.T + alpha @ x @ dV.T

turns = [np.random.default_rng(3).standard_normal(M.shape) for M, _, _ in looks]
verified("eq-bey-attention",
         [along(lambda M: attend(*M, x)[1], M, dM) for (M, x, g), dM in zip(looks, turns)],
         [three_rules(M, x, dM) for (M, x, g), dM in zip(looks, turns)], tol=1e-14)


# %% [markdown]
# From $L$ with $g_t = \nabla_{h_t} L$ the gradients follow. Let $\gamma_{t,k}$ be the gradient with respect to the score $\beta_{t,k}$:
#
# $$
# \begin{aligned}
# \gamma_{t,k} &= \alpha_{t,k}\, \langle g_t,\, W^V x_k - h_t \rangle , \\
# \nabla_{W^V} L &= \sum_{k \le t} \alpha_{t,k}\; g_t\, x_k^\top , \\
# \nabla_{W^K} L &= \tfrac{1}{\sqrt n} \sum_{k \le t} \gamma_{t,k}\; W^Q x_t\, x_k^\top , \\
# \nabla_{W^Q} L &= \tfrac{1}{\sqrt n} \sum_{k \le t} \gamma_{t,k}\; W^K x_k\, x_t^\top .
# \end{aligned}
# $$ (eq-bey-pairs)

# %% tags=["check"]
def by_score(M, x, g):
    """alpha, and gamma over the root of n, (T, T)."""
    (Q, K, V), (alpha, h) = M, attend(*M, x)
    gamma = alpha * (g @ (x @ V.T).T - (g * h).sum(axis=1, keepdims=True))
    return alpha, gamma / np.sqrt(len(Q))

def pairs(M, x, g):
    """The summands of Q, K and V for each pair, (T, T, 3, n, d)."""
    (Q, K, V), (alpha, gamma) = M, by_score(M, x, g)
    return np.stack([np.einsum("tk,ki,tj->tkij", gamma, x @ K.T, x),
                     np.einsum("tk,ti,kj->tkij", gamma, x @ Q.T, x),
                     np.einsum("tk,ti,kj->tkij", alpha, g, x)], axis=2)


# %%
import autograd.numpy as anp
from autograd import grad

def loss(M, x, g):
    """The same once more, for a library that differentiates."""
    scores = anp.exp(anp.dot(anp.dot(x, M[0].T), anp.dot(x, M[1].T).T) / len(M[0]) ** 0.5)
    weights = anp.tril(scores)
    values = anp.dot(anp.dot(weights, x), M[2].T) / anp.sum(weights, axis=1, keepdims=True)
    return anp.sum(g * values)

found = [pairs(*look).sum(axis=(0, 1)) for look in looks]
by_step = [complex_step(lambda M: (g * attend(*M, x)[1]).sum(), M) for M, x, g in looks]
verified("eq-bey-pairs", by_step, found, tol=1e-14)
verified("eq-bey-pairs", [grad(loss)(*look) for look in looks], found, tol=1e-14)


# %% [markdown]
# Here is the [triangle](any-pairs) again: each sum runs over all pairs $k \le t$. But there is no product over the steps between. A pair has the same few factors whether its lag is
# 1 or 1,000, and no Jacobian is raised to a power. So nothing vanishes or explodes *by lag*. What becomes small does so for another reason: the $\alpha_{t,k}$ of a row add up to 1, so more
# positions share the same sum; and where one of them is close to 1, all $\gamma$ of the row are close to 0. (Without softmax the sum over $k$ could be carried on as a state, and we would have a recurrence again.)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-bey-pairs", "caption": "Above, the summand of each pair, in a plain network and in attention, both untrained, as a power of ten of the largest: one fades with the distance from the diagonal, the other does not. Below, all pairs of a lag added up, relative to lag 0 (64 steps, 16 units, median and range of 20 draws)."}, "image": {"alt": "Two triangles of coloured squares. In the left one, plain network, colours go from bright on the diagonal to dark in the lower left corner; the right one, attention, is spotted evenly. Below them two lines against the lag: one drops steeply out of the chart, the other falls slowly to about a hundredth."}}
def plain_pairs(T, d, n, seed):
    """The norms of G_{t,k} of a plain network with the same inputs and gradients."""
    _, x, g = positions(T, d, n, seed)
    run, found = plain_run(seed, d, n, x), np.zeros((T, T))
    for t in range(T):
        dh = np.zeros((T, 1, n))
        dh[t] = g[t]
        found[t, t::-1] = norm(summands(run, dh, max_lag=t).W, axis=(1, 2))
    return found

def lag_norms(M, x, g):
    """The norms of all pairs of a lag added up."""
    (Q, K, V), (alpha, gamma), found = M, by_score(M, x, g), []
    for lag in range(len(x)):
        (now, then), (A, G) = (x[lag:], x[:len(x) - lag]), (
            np.diag(one, -lag)[:, None] for one in (alpha, gamma))
        found.append(norm([K @ then.T @ (G * now), Q @ now.T @ (G * then),
                           (A * g[lag:]).T @ then]))
    return np.array(found)

each = pairs(*looks[1])
assert np.allclose([norm(sum(each[t, t - lag] for t in range(lag, 9))) for lag in range(9)],
                   lag_norms(*looks[1]), rtol=1e-12)

def plain_run(seed, d, n, x):
    return unroll(ELMAN, init(ELMAN, d, n, rng=np.random.default_rng(seed)), x[:, None])

T, d, n = 64, 16, 16
draws = [positions(T, d, n, seed) for seed in range(20)]
ours = np.array([lag_norms(*draw) for draw in draws])
plain = np.array([norm(summands(plain_run(seed, d, n, x), g[:, None]).W, axis=(1, 2))
                  for seed, (_, x, g) in enumerate(draws)])
ours, plain = (found / found[:, :1] for found in (ours, plain))

fig, axes = plt.subplot_mosaic("ab;cc", figsize=(5.8, 5.6), layout="constrained")
M, x, g = positions(16, d, n)
triangles = {"plain network": plain_pairs(16, d, n, 0),
             "attention": norm(pairs(M, x, g).reshape(16, 16, -1), axis=2)}
for ax, (name, size) in zip((axes["a"], axes["b"]), triangles.items()):
    logs = np.log10(np.where(size > 0, size, np.nan) / size.max())
    shades = ax.pcolormesh(np.arange(1, 17), np.arange(1, 17), logs, vmin=-5, vmax=0, cmap="viridis")
    ax.set(title=name, aspect="equal", xlabel="$k$", ylabel="$t$", ylim=(16.5, 0.5),
           xticks=(1, 8, 16), yticks=(1, 8, 16))
fig.colorbar(shades, ax=axes["b"], shrink=0.8)
ax, lags = axes["c"], np.arange(64)
for found, color, name, place in ((plain, style.GREY, "plain network", (13, 3e-4)),
                                  (ours, style.BLUE, "attention", (36, 0.5))):
    ax.fill_between(lags, found.min(axis=0), found.max(axis=0), color=color, alpha=0.2, lw=0)
    ax.plot(lags, np.median(found, axis=0), color=color)
    ax.text(*place, name, color=color)
ax.set(yscale="log", ylim=(1e-5, 3), xlabel="lag", ylabel="relative to lag 0");

# %% tags=["hide-input"]
some = (1, 4, 16, 32)
Table("In the plain network each lag loses a factor, in attention it takes a few times as many lags to lose as much again. (The sum over all pairs of a lag, relative to lag 0; median and range of 20 draws.)",
      {"lag": some, "plain network": [spread(plain[:, lag]) for lag in some],
       "attention": [spread(ours[:, lag]) for lag in some]}, name="tab-bey-lags")

# %% [markdown]
# The comparison is one of untrained networks; training moves both. And it has a price: a recurrent layer carries $n$ numbers from step to step, attention keeps all its inputs and visits
# $T(T+1)/2$ pairs. The paper has both sides in a table: paths of length $O(1)$ instead of $O(T)$, for work of $O(T^2 n)$ instead of $O(T n^2)$ {cite}`vaswani2017attention`.
#
# **Which pairs exist** is a choice. A mask that keeps the band $t - k < K$ looks like a window of truncation, and deletes the same pairs. But truncation deletes them from the gradient, and a mask from the function: its
# gradient is exact.
#
# **Layers bring paths back.** Stack $N$ layers of attention. A path from input $k$ to output $t$ then chooses a position in each layer between, never going back. With $\ell = t - k$ there are
#
# $$
# \#\{\text{paths from } k \text{ to } t\} = \binom{\ell + N - 1}{N - 1} ,
# $$ (eq-bey-paths)
#
# each a product of $N$ factors, whatever $\ell$ is. A recurrent network has one path of positions, with $\ell$ factors.

# %%
sizes = [(9, 1), (9, 2), (7, 5)]  # positions, layers
steps = [np.linalg.matrix_power(np.tril(np.ones((T, T), int)), N) for T, N in sizes]
counts = [np.array([[comb(t - k + N - 1, N - 1) if k <= t else 0 for k in range(T)]
                    for t in range(T)]) for T, N in sizes]
verified("eq-bey-paths", steps, counts, tol=0)


# %% [markdown]
# ## Depth is time without shared weights
#
# Last, take the time away and leave the layers: $h_k = \tanh(W^{(k)} h_{k-1} + q)$ for $k = 1, \dots, N$, each with a matrix of its own. Each matrix is used once, so each gradient is one product:
#
# $$
# \begin{aligned}
# \nabla_{W^{(k)}} L = D_k\, &W^{(k+1)\top} D_{k+1} \cdots \\
# &W^{(N)\top} D_N\; g\; h_{k-1}^\top .
# \end{aligned}
# $$ (eq-bey-depth)
#
# There is a chain rule and no sum. Now tie the weights: let all layers use the same $W$. Then the $N$ products are the $N$ summands of a recurrent network at a constant input, the layer $k$ is the lag
# $N - k$, and the gradient is their sum. *Weight tying turns depth into time.* And if the depth has no end and the state settles, we are back at the beginning of the chapter: the network at rest is a tied network of infinite depth, and that is how deep
# equilibrium models were introduced {cite}`bai2019deep`.

# %% tags=["check"]
def layers(Ws, q, h):
    states = [h]
    for W in Ws:
        states.append(np.tanh(W @ states[-1] + q))
    return states

def one_product_each(Ws, q, h, g):
    states, carried, found = layers(Ws, q, h), g, []
    for W, before, after in zip(Ws[::-1], states[-2::-1], states[:0:-1]):
        delta = (1 - after**2) * carried
        found.append(np.outer(delta, before))
        carried = W @ delta
    return np.array(found[::-1])

def tower(n, N):
    rng = np.random.default_rng([n, N])
    return (rng.standard_normal((N, n, n)) / np.sqrt(n), *rng.standard_normal((3, n)))


# %%
towers = [tower(2, 3), tower(4, 5)]
verified("eq-bey-depth",
         [complex_step(lambda Ws: (g * layers(Ws, q, h)[-1]).sum(), Ws) for Ws, q, h, g in towers],
         [one_product_each(*one) for one in towers], tol=1e-14)

def as_recurrence(Ws, q, h, g):
    """The summands of the recurrent network with the first matrix, oldest first."""
    run, dh = resting_run(Ws[0], q, h, g, len(Ws))
    return summands(run, dh).W[::-1]

tied = [(np.array([Ws[0]] * len(Ws)), q, h, g) for Ws, q, h, g in towers]
verified("eq-bey-depth", [as_recurrence(*one) for one in tied],
         [one_product_each(*one) for one in tied], tol=1e-14)

# %% [markdown]
# ## What depends on what, and through how many factors
#
# This was the question of the first page, for one kind of network. Here is the answer for all of them.

# %% tags=["hide-input"]
rows = [
    ("recurrent, any cell", "one for each use of $W$", r"$\ell$ Jacobians, each its own", "back over $T$ steps"),
    ("at rest", "one for each lag, without end", r"$\ell$ times the same Jacobian", "one linear system"),
    ("in continuous time", "an integral over the time of use", "the flow between the two times", "a differential equation"),
    ("attention, one layer", "one for each pair", "the same few for every lag", "once over all pairs"),
    ("attention, $N$ layers", r"one for each path, $\binom{\ell+N-1}{N-1}$ between two positions", "$N$", "$N$ times over all pairs"),
    ("deep, own weights", "one", "the layers above", "back over $N$ layers"),
    ("deep, tied weights", "one for each layer", "the layers above", "back over $N$ layers: the first row"),
]
heads = ("network", "summands in a gradient", r"factors at lag $\ell$", "how to add them up")
Table("The rule is the same in all rows: where a value is used more than once, the effects are added. What differs is how long the products are.",
      dict(zip(heads, zip(*rows))), name="tab-bey-answer")


# %% [markdown]
# Composition says what depends on what, and gives each path a product. Sharing says how often, and the product rule adds the paths up. Everything that made recurrent networks hard, and every remedy of this book, concerned the length of the products.
# Everything that made their gradients easy to get wrong concerned the sum. Networks without time have shorter products. The sum they have kept.
#
# ## Going deeper
#
# ### A solver that stopped early
#
# A solver of {eq}`def-bey-rest` never quite arrives. Say it stops at $\tilde h = h_S$ after $S$ steps from zero, and {eq}`eq-bey-implicit` is used there. The result is neither the gradient at rest nor that of
# the number computed, $L(\tilde h)$, which backpropagation through the $S$ steps would give.

# %% tags=["hide-input"]
def stopped(W, q, h, g, S):
    """Errors of both gradients against rest, and what a gradient check would see."""
    run = unroll(ELMAN, Params(W, np.zeros((len(q), 1)), q), np.zeros((S, 1, 1)))
    dh, early = np.zeros((S, 1, len(q))), run.h[-1, 0]
    dh[-1] = g
    through, formula = backward(run, dh).W, np.outer(implicit(W, early, g), early)
    truth = np.outer(implicit(W, h, g), h)
    return (norm(early - h) / norm(h), norm(formula - truth) / norm(truth),
            norm(through - truth) / norm(truth), norm(formula - through) / norm(through))

stops = (2, 5, 10)
early = {S: np.array([stopped(*net, S) for net in nets[0.9]]) for S in stops}
columns = dict(zip(("state", "implicit formula", "through the steps", "between the two"), range(4)))
Table(r"Stopped early, the implicit formula is about as far off as the state, and the gradient through the steps several times as far. (Relative errors, $\lVert W \rVert_2 = 0.9$, median and range of 20 networks.)",
      {"$S$": stops} | {name: [spread(early[S][:, k], lambda v: percent(v, 1)) for S in stops]
                        for name, k in columns.items()}, name="tab-bey-stopped")


# %% [markdown]
# So the formula has the better gradient of what one *wants*, and fails the gradient check of what one *computes*. The check is right to complain: it says that the solver has not converged. Tighten its tolerance, and the last column must fall with the first; if it does not, the formula is wrong.
# How much training tolerates seems to depend on the model: one who builds them reports that a small one for images learns with inexact gradients, and that a transformer finds it much harder {cite}`deq28`.
#
# ### When the iteration fails and the flow does not
#
# The iteration $\lambda \leftarrow g + J^\top \lambda$ needs every eigenvalue $\mu$ of $J$ inside the unit circle. The flow {eq}`def-bey-flow` near its rest has the eigenvalues $\mu - 1$ and needs only a real part below zero, $\operatorname{Re} \mu < 1$. A pair of
# units that inhibit each other strongly can have $\mu = -3$: step by step it flips for ever, in continuous time it is as quiet as can be. Damping closes the gap. Let the adjoint move a share $a$ of the way, $\lambda \leftarrow (1 - a) \lambda + a (g + J^\top \lambda)$; its
# fixed point is the same, and it is reached if and only if for all eigenvalues
#
# $$
# \begin{aligned}
# \lvert 1 - a + a \mu \rvert &< 1 , \quad\text{that is} \\
# a &< \frac{2\, (1 - \operatorname{Re} \mu)}{\lvert 1 - \mu \rvert^2} .
# \end{aligned}
# $$ (eq-bey-damped)
#
# This is once more Euler's method with steps of length $a$, for Pineda's equation.

# %%
def largest_step(J):
    mu = np.linalg.eigvals(J)
    return (2 * (1 - mu.real) / abs(1 - mu) ** 2).min()

def radius(J, a):
    return abs(np.linalg.eigvals((1 - a) * np.eye(len(J)) + a * J.T)).max()

matrices = [np.array([[-3.0]]), np.array([[0.0, -4], [4, 0]]), np.array([[-2.0, 1], [-5, 0.5]])]
verified("eq-bey-damped", [radius(J, largest_step(J)) for J in matrices], [1.0] * 3, tol=1e-13)
verified("eq-bey-damped", [radius(J, 0.9 * largest_step(J)) for J in matrices], [1.0] * 3,
         tol=0, relation="<=")


# %% [markdown]
# ### Uniform attention falls like a root
#
# Why does the line of attention in {numref}`fig-bey-pairs` fall at all? With $W^K = 0$ every position gets the same weight, $\alpha_{t,k} = 1/t$, and only $W^V$ has a gradient. For inputs and gradients whose entries are independent, with mean 0 and variance 1,
#
# $$
# \operatorname{E} \lVert G^{(\ell)} \rVert^2 = n\, d \sum_{t=\ell+1}^{T} \frac{1}{t^2} .
# $$ (eq-bey-root)
#
# The sum lies between $\frac{1}{\ell+1} - \frac{1}{T+1}$ and, for $\ell \ge 1$, $\frac1\ell - \frac1T$. So the norm falls like $1/\sqrt{\ell}$ until the pairs run out: there are $T - \ell$ of them. That is dilution, not vanishing. With a loss at the last position alone, all lags are alike. The check takes the mean over all inputs
# and gradients of signs.

# %%
def mean_over_signs(T, d, n, lag):
    total = 0
    for signs in product((-1.0, 1.0), repeat=T * (d + n)):
        x, g = np.split(np.array(signs), [T * d])
        x, g = x.reshape(T, d), g.reshape(T, n)
        total += norm(sum(np.outer(g[t], x[t - lag]) / (t + 1) for t in range(lag, T))) ** 2
    return total / 2 ** (T * (d + n))

few = [(3, 1, 1, 0), (4, 1, 1, 1), (4, 1, 1, 2), (3, 2, 1, 1)]
verified("eq-bey-root", [mean_over_signs(*one) for one in few],
         [n * d * sum(1 / t**2 for t in range(lag + 1, T + 1)) for T, d, n, lag in few], tol=1e-14)

# %% [markdown]
# ### A reported mistake that is none
#
# In $\gamma_{t,k}$ the mean that is taken away can be written in two ways:
#
# $$
# \sum_{k \le t} \alpha_{t,k}\, \langle g_t, W^V x_k \rangle = \langle g_t, h_t \rangle .
# $$ (eq-bey-rowsum)
#
# On the left are $t$ numbers, on the right two vectors that are there anyway. Fast programs use the right. A report calls that a mistake and asks for the left {cite}`picotron37`; by {eq}`eq-bey-rowsum` it makes no difference, so long as the sum runs over the *whole* row. If the keys come in blocks, the left must not be
# taken block by block; the right does not care. (We have not run that program.) A real mistake at the same place is to keep softmax's diagonal alone, $\alpha (1 - \alpha)$; a well-known library once did {cite}`libnd4j440`.

# %%
rows_left = [(alpha * (g @ (x @ M[2].T).T)).sum(axis=1)
             for M, x, g in looks for alpha in [attend(*M, x)[0]]]
verified("eq-bey-rowsum", rows_left, [(g * attend(*M, x)[1]).sum(axis=1) for M, x, g in looks],
         tol=1e-14)


# %% [markdown]
# ### Which check sees which mistake
#
# Ten mistakes, planted one at a time, on ten random networks each. Three gradient checks look at the result, with several units, with a single one, and with a generous tolerance of 5 %. The fourth
# test is the one that training makes: does the loss fall along the computed gradient?

# %% tags=["hide-input"]
def rest_bugs(n, seed):
    W, q, h, g = at_rest(n, 0.9, seed)
    D, eye = np.diag(1 - h**2), np.eye(n)
    early = settle(W, q, 3)
    wrong = {"lag 0 only": D @ g,
             "$J$ for $J^\\top$": D @ solve(eye - D @ W, g),
             "$I + J^\\top$": D @ solve(eye + W.T @ D, g),
             "$D$ forgotten in front": solve(eye - W.T @ D, g)}
    found = {name: np.outer(delta, h) for name, delta in wrong.items()}
    found["solver stopped after 3 steps"] = np.outer(implicit(W, early, g), early)
    return found, complex_step(lambda W: (g * settle(W, q)).sum(), W)

def flow_bugs(n, seed, a=0.1, T=2):
    params, h0, g = flowing(n, seed)
    h, u = leaky(params, h0, a, T)
    lam, no_leak, slopes = g, 0, 1 - np.tanh(h @ params.W.T + u) ** 2
    for t in reversed(range(len(h) - 1)):
        delta = a * slopes[t] * lam
        no_leak, lam = no_leak + np.outer(delta, h[t]), lam + params.W.T @ delta
    return ({"slopes of the next step": sweep(params.W, h, u, g, a, late=1),
             "leak forgotten": no_leak,
             "$a$ forgotten in the sum": sweep(params.W, h, u, g, a) / a},
            of_program(params, h0, g, a, T))

def look_bugs(n, seed):
    M, x, g = positions(5, n, n, seed)
    (Q, K, V), (alpha, _) = M, attend(*M, x)
    right = pairs(M, x, g).sum(axis=(0, 1))
    gamma = alpha * (1 - alpha) * (g @ (x @ V.T).T) / np.sqrt(n)
    diagonal = [K @ x.T @ gamma.T @ x, Q @ x.T @ gamma @ x, right[2]]
    return ({"softmax's diagonal only": np.array(diagonal),
             "weights $\\alpha$ held fixed": right * np.array([0, 0, 1])[:, None, None]},
            complex_step(lambda M: (g * attend(*M, x)[1]).sum(), M))

def seen(errors, tolerance=1e-8):
    caught = sum(error > tolerance for error in errors)
    return int(caught)

report = {}
for bugs in (rest_bugs, flow_bugs, look_bugs):
    for n in (4, 1):
        for seed in range(10):
            wrong, right = bugs(n, seed)
            for name, found in wrong.items():
                report.setdefault(name, {4: [], 1: []})[n].append(
                    (norm(found - right) / norm(right), cosine(found, right)))
Table("A gradient check with several units sees all ten. With one unit a transpose is invisible, a generous tolerance lets small mistakes through, and training notices nothing: the loss falls along every one of these gradients. (Networks, of ten, in which a test rejects the gradient; cosine to the right one.)",
      {"mistake": list(report),
       "4 units": [seen([error for error, _ in both[4]]) for both in report.values()],
       "1 unit": [seen([error for error, _ in both[1]]) for both in report.values()],
       "5 %": [seen([error for error, _ in both[4]], 0.05) for both in report.values()],
       "loss rises": [seen([-c for _, c in both[4]], 0) for both in report.values()],
       "cosine": [spread([c for _, c in both[4]]) for both in report.values()]},
      name="tab-bey-bugs")


# %% [markdown]
# ## Exercises
#
# ```{exercise} One unit at rest
# :label: ex-bey-slope
#
# One unit rests in $h^* = \tanh(w h^* + q)$. Differentiate $h^*$ with respect to $w$ and to $q$. How many lags does an error of one per cent take if $w = 0.99$ and $q = 0$?
# ```
#
# ```{solution-start} ex-bey-slope
# :class: dropdown
# ```
#
# Both sides contain $h^*$, so with $D = 1 - h^{*2}$
#
# $$
# \frac{\mathrm{d} h^*}{\mathrm{d} w} = \frac{D\, h^*}{1 - D w} , \qquad \frac{\mathrm{d} h^*}{\mathrm{d} q} = \frac{D}{1 - D w} .
# $$ (eq-bey-slope)
#
# For $q = 0$ and $w < 1$ the unit rests in 0, where $D = 1$ and $J = w$. What is left after $K$ lags is $w^K$, so it takes $\ln 0.01 / \ln 0.99$ of them, that is 459. The derivative with respect to $q$ is 100: what is sensitive is slow.

# %%
def slopes(w, q):
    h = settle(np.array([[w]]), np.array([q]), 5000)[0]
    return np.array([(1 - h**2) * h, 1 - h**2]) / (1 - (1 - h**2) * w)

def both_by_step(w, q):
    return complex_step(lambda v: settle(v[:1, None], v[1:], 5000)[0], np.array([w, q]))

units = [(0.5, 0.3), (-0.8, 1.0), (1.5, 0.8), (0.99, 0.0)]
verified("eq-bey-slope", [both_by_step(*unit) for unit in units],
         [slopes(*unit) for unit in units], tol=1e-12)


# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} When lag 0 points uphill
# :label: ex-bey-uphill
#
# The second of two units sees the input alone, $h_2 = \tanh(q_2)$, the first sees the second, $h_1 = \tanh(c\, h_2 + q_1)$. For which $c$ does a step along lag 0 *raise* the loss, to first order? Is the rest stable there?
# ```
#
# ```{solution-start} ex-bey-uphill
# :class: dropdown
# ```
#
# With $\gamma = D g$ for lag 0 there is one more lag, since $J^2 = 0$: $\delta = \gamma + D W^\top \gamma$. So
#
# $$
# \langle \gamma, \delta \rangle = \gamma_1^2 + \gamma_2^2 + D_2\, c\, \gamma_1 \gamma_2 .
# $$ (eq-bey-uphill)
#
# It is negative if $D_2\, c\, \gamma_1 \gamma_2 < -\gamma_1^2 - \gamma_2^2$. That needs $\kappa = D_2 \lvert c \rvert > 2$, and from there on some $g$ does it. The rest is as stable as can be, with both eigenvalues 0: two layers, of which the lower one is told the wrong thing. Stability is about the spectral radius; which way lag 0
# points is about the norm.

# %%
def two_units(c, q, g):
    W = np.array([[0.0, c], [0, 0]])
    h = settle(W, q, 3)
    first = (1 - h**2) * g
    by_formula = (first**2).sum() + (1 - h[1] ** 2) * c * first[0] * first[1]
    exact = complex_step(lambda q: (g * settle(W, q, 3)).sum(), q)
    return first @ exact, by_formula

chains = [(c, *np.random.default_rng(seed).standard_normal((2, 2)))
          for seed, c in enumerate((-6.0, 1.0, 5.0))]
left, right = zip(*(two_units(*chain) for chain in chains))
verified("eq-bey-uphill", left, right, tol=1e-14)
assert two_units(-3.0, np.zeros(2), np.ones(2))[0] < 0


# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Layers with a window
# :label: ex-bey-reach
#
# In each of $N$ layers, let attention see the last $K$ positions only, its own included. How far back does the last layer reach? How many paths lead back over a lag $\ell$?
# ```
#
# ```{solution-start} ex-bey-reach
# :class: dropdown
# ```
#
# Each layer goes back by 0 to $K - 1$ positions, so the reach is $N (K - 1)$. The number of paths is the coefficient of $z^\ell$ in $(1 + z + \dots + z^{K-1})^N$. As $1 + \dots + z^{K-1} = (1 - z^K) / (1 - z)$, it is
#
# $$
# \sum_{j=0}^{\lfloor \ell / K \rfloor} (-1)^j \binom{N}{j} \binom{\ell - j K + N - 1}{N - 1} .
# $$ (eq-bey-reach)
#
# The first term is {eq}`eq-bey-paths`; the others take away what the mask forbids. Here a mask and a window of truncation part: stacked, a mask still lets distant positions meet.

# %%
def paths(lag, K, N):
    return sum((-1) ** j * comb(N, j) * comb(lag - j * K + N - 1, N - 1)
               for j in range(min(N, lag // K) + 1))

def counted(K, N, T=20):
    band = np.tril(np.ones((T, T), int)) - np.tril(np.ones((T, T), int), -K)
    return np.linalg.matrix_power(band, N)[:, 0]

windows = [(1, 3), (2, 5), (4, 3), (5, 1)]
verified("eq-bey-reach", [counted(K, N) for K, N in windows],
         [np.array([paths(lag, K, N) for lag in range(20)]) for K, N in windows], tol=0)
assert [np.flatnonzero(counted(*one))[-1] for one in windows] == [N * (K - 1) for K, N in windows]


# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} The best damping
# :label: ex-bey-best
#
# All eigenvalues of $J$ are real and lie between $m$ and $M < 1$. Which share $a$ in the damped iteration {eq}`eq-bey-damped` converges fastest, and by which factor does the error shrink at each step? What does this say about the choice between more steps and a better solver?
# ```
#
# ```{solution-start} ex-bey-best
# :class: dropdown
# ```
#
# The factor is the largest of $\lvert 1 - a (1 - \mu) \rvert$, and that is attained at an end of the interval. It is least where both ends are equal and opposite:
#
# $$
# \begin{aligned}
# a &= \frac{2}{2 - m - M} , \\
# \text{factor} &= \frac{M - m}{2 - m - M} .
# \end{aligned}
# $$ (eq-bey-best)
#
# Undamped, with $m = -0.9$ and $M = 0.9$, nothing can be gained: $a = 1$. With $m = -9$ and $M = 0.9$ the plain iteration explodes, and the best damped one has the factor 0.98. Then a step is worth little, and a solver that uses more than one old iterate (Anderson's, a Krylov method) or a direct one pays. For complex eigenvalues there is no such short formula: the question is
# for the circle around 1 that the points $1 - \mu$ leave free.

# %%
def worst(a, m, M):
    return max(abs(1 - a * (1 - mu)) for mu in np.linspace(m, M, 201))

def by_search(m, M):
    """Ternary search: the worst factor is a convex function of a."""
    low, high = 0.0, 2.0
    for _ in range(120):
        left, right = (2 * low + high) / 3, (low + 2 * high) / 3
        low, high = (low, right) if worst(left, m, M) < worst(right, m, M) else (left, high)
    return np.array([low, worst(low, m, M)])

intervals = [(-0.9, 0.9), (-9.0, 0.9), (-3.0, -2.0)]
verified("eq-bey-best", [by_search(*one) for one in intervals],
         [np.array([2, M - m]) / (2 - m - M) for m, M in intervals], tol=1e-9)

# %% [markdown]
# ```{solution-end}
# ```
#
# ## Where to read on
#
# Pineda's paper of 1987 derives recurrent backpropagation in ten pages {cite}`pineda1987generalization`; Liao and others take it up with truncation in mind {cite}`liao2018reviving`. A tutorial with code on networks at rest and in continuous time is *Deep implicit layers* {cite}`duvenaud2020implicit`. In this book,
# [Backward](backward.md) has the costate and [Memory](memory.md) the ways to go back that are safe.
