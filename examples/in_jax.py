"""The book's network in JAX: its gradients, how far they reach, and what cuts them off."""

import jax
from jax import numpy as jnp

from problem import CELLS, LENGTHS, PARAMETERS, directions, n, problem

jax.config.update("jax_enable_x64", True)


def arrays(p):
    return {name: jnp.asarray(getattr(p, name)) for name in PARAMETERS}


def cross_entropy(z, target):
    return -jnp.take_along_axis(jax.nn.log_softmax(z), target[..., None], axis=-1).mean()


def loss(w, x, targets):
    def step(h, x_t):
        h = jnp.tanh(h @ w["W"].T + x_t @ w["U"].T + w["b"])
        return h, h

    _, h = jax.lax.scan(step, w["s0"], x)
    return cross_entropy(h @ w["V"].T + w["c"], targets)


def gradients(p):
    return jax.grad(loss)(arrays(p), p.x, p.targets)


def lstm(W, s, q):
    i, f, g, o = jnp.split(s[:, :n] @ W.T + q, 4, axis=1)
    c = jax.nn.sigmoid(f) * s[:, n:] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jnp.concatenate([jax.nn.sigmoid(o) * jnp.tanh(c), c], axis=1)


def gru(W, s, q):
    p = s @ W.T
    r, z = jnp.split(jax.nn.sigmoid(p[:, : 2 * n] + q[:, : 2 * n]), 2, axis=1)
    new = jnp.tanh(q[:, 2 * n :] + r * p[:, 2 * n :])
    return (1 - z) * new + z * s


def rnn(W, s, q):
    return jnp.tanh(s @ W.T + q)


def layer_loss(name, w, p):
    step = {"RNN": rnn, "LSTM": lstm, "GRU": gru}[name]

    def both(s, x_t):
        s = step(w["W"], s, x_t @ w["U"].T + w["b"])
        return s, s[:, :n]

    _, h = jax.lax.scan(both, w["s0"], p.x)
    return cross_entropy(h @ w["V"].T + w["c"], p.targets)


def layer_gradients(name, p):
    return jax.grad(lambda w: layer_loss(name, w, p))(arrays(p))


def reach(p):
    w = arrays(p)

    def at_the_end(copies):
        def step(h, input):
            W_t, x_t = input
            return jnp.tanh(h @ W_t.T + x_t @ w["U"].T + w["b"]), None

        h, _ = jax.lax.scan(step, w["s0"], (copies, p.x))
        return cross_entropy(h @ w["V"].T + w["c"], p.targets[-1])

    copies = jnp.stack([w["W"]] * len(p.x))  # one for each step
    summands = jax.grad(at_the_end)(copies)[::-1]  # from lag 0
    return jnp.linalg.norm(summands, axis=(1, 2))


def segments(p, detach):
    w, half = arrays(p), len(p.x) // 2

    def at_the_end(W):
        h = w["s0"]
        for part in (p.x[:half], p.x[half:]):
            h = jax.lax.stop_gradient(h) if detach else h
            for x_t in part:
                h = jnp.tanh(h @ W.T + x_t @ w["U"].T + w["b"])
        return cross_entropy(h @ w["V"].T + w["c"], p.targets[-1])

    return jax.grad(at_the_end)(w["W"])


def masked(p):
    w = arrays(p)
    real = jnp.arange(len(p.x))[:, None] < jnp.asarray(LENGTHS)  # (T, B)

    def loss(W):
        def step(h, input):
            x_t, real_t = input
            new = jnp.tanh(h @ W.T + x_t @ w["U"].T + w["b"])
            h = jnp.where(real_t[:, None], new, h)  # the state waits after the end
            return h, h

        _, h = jax.lax.scan(step, w["s0"], (p.x, real))
        y = jax.nn.log_softmax(h @ w["V"].T + w["c"])
        each = -jnp.take_along_axis(y, p.targets[..., None], axis=-1)[..., 0]
        return jnp.where(real, each, 0).sum() / real.sum()

    return jax.grad(loss)(w["W"])


def hessian_product(p):
    w = arrays(p)
    gradient = jax.grad(lambda W: loss(w | {"W": W}, p.x, p.targets))
    return jax.jvp(gradient, (w["W"],), (directions(p)["W"],))[1]


def layer_hessian_product(name, p):
    w = arrays(p)
    rest = {"s0": jnp.zeros_like(w.pop("s0"))}  # all weights move, the state at the start does not
    gradient = jax.grad(lambda w: layer_loss(name, w | rest, p))
    return jax.jvp(gradient, (w,), (directions(p),))[1]


def results():
    rnn = problem("RNN")
    return {
        "version": jax.__version__,
        "gradients": gradients(rnn),
        "layers": {name: layer_gradients(name, problem(name)) for name in CELLS},
        "reach": reach(rnn),
        "whole": segments(rnn, detach=False),
        "detached": segments(rnn, detach=True),
        "masked": masked(rnn),
        "hessian product": hessian_product(rnn),
        "hessian products": {name: layer_hessian_product(name, problem(name)) for name in CELLS},
    }
