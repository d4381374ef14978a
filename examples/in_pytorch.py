"""The book's network in PyTorch: its gradients, how far they reach, and what cuts them off."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from problem import CELLS, LENGTHS, PARAMETERS, directions, n, problem


def tensors(p):
    return {name: torch.from_numpy(getattr(p, name)).requires_grad_() for name in PARAMETERS} | {
        "x": torch.from_numpy(p.x),
        "targets": torch.from_numpy(p.targets),
    }


def loss(W, U, b, V, c, s0, x, targets):
    h, total = s0, 0.0
    for x_t, target in zip(x, targets):
        h = torch.tanh(h @ W.T + x_t @ U.T + b)
        total = total + cross_entropy(h @ V.T + c, target)
    return total / len(x)


def gradients(p):
    values = tensors(p)
    loss(**values).backward()
    return {name: values[name].grad for name in PARAMETERS}


def layer_gradients(name, p):
    d = p.x.shape[2]
    layer, output = getattr(nn, name)(d, n).double(), nn.Linear(n, len(p.c)).double()
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.from_numpy(p.W))
        layer.weight_ih_l0.copy_(torch.from_numpy(p.U))
        layer.bias_ih_l0.copy_(torch.from_numpy(p.b))
        layer.bias_hh_l0.zero_()  # the second bias is one too many
        output.weight.copy_(torch.from_numpy(p.V))
        output.bias.copy_(torch.from_numpy(p.c))
    s0 = torch.from_numpy(p.s0).requires_grad_()
    state = tuple(part[None].contiguous() for part in s0.split(n, dim=1))
    h, _ = layer(torch.from_numpy(p.x), state if len(state) > 1 else state[0])
    cross_entropy(output(h).flatten(0, 1), torch.from_numpy(p.targets).flatten()).backward()
    return {
        "W": layer.weight_hh_l0.grad,
        "U": layer.weight_ih_l0.grad,
        "b": layer.bias_ih_l0.grad,
        "V": output.weight.grad,
        "c": output.bias.grad,
        "s0": s0.grad,
    }


def reach(p):
    v = tensors(p)
    h, copies = v["s0"], []
    for x_t in v["x"]:
        W_t = v["W"].detach().clone().requires_grad_()  # for this step alone
        h = torch.tanh(h @ W_t.T + x_t @ v["U"].T + v["b"])
        copies.append(W_t)
    cross_entropy(h @ v["V"].T + v["c"], v["targets"][-1]).backward()
    return [W_t.grad.norm() for W_t in reversed(copies)]  # from lag 0


def segments(p, detach):
    v = tensors(p)
    h, W = v["s0"], v["W"]
    for segment in v["x"].chunk(2):
        if detach:
            h = h.detach()
        for x_t in segment:
            h = torch.tanh(h @ W.T + x_t @ v["U"].T + v["b"])
    cross_entropy(h @ v["V"].T + v["c"], v["targets"][-1]).backward()
    return W.grad


def backward_twice(p):
    v = tensors(p)
    h = torch.tanh(v["s0"] @ v["W"].T)
    h.sum().backward()
    try:
        torch.tanh(h @ v["W"].T).sum().backward()
    except RuntimeError as error:
        return str(error).split(" (")[0]


def packed(p):
    layer = nn.RNN(p.x.shape[2], n).double()
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.from_numpy(p.W))
        layer.weight_ih_l0.copy_(torch.from_numpy(p.U))
        layer.bias_ih_l0.copy_(torch.from_numpy(p.b))
        layer.bias_hh_l0.zero_()
    x = pack_padded_sequence(torch.from_numpy(p.x), LENGTHS)
    h, _ = layer(x, torch.from_numpy(p.s0)[None])
    h, _ = pad_packed_sequence(h)  # zero beyond a sequence's end
    z = h @ torch.from_numpy(p.V).T + torch.from_numpy(p.c)
    targets = torch.from_numpy(p.targets).clone()
    for k, length in enumerate(LENGTHS):
        targets[length:, k] = -100  # which cross_entropy leaves out
    cross_entropy(z.flatten(0, 1), targets.flatten()).backward()
    return layer.weight_hh_l0.grad


def hessian_product(p):
    values = tensors(p)
    W, v = values["W"], torch.from_numpy(directions(p)["W"])
    (g,) = torch.autograd.grad(loss(**values), W, create_graph=True)
    (product,) = torch.autograd.grad(g, W, grad_outputs=v)
    return product


def results():
    rnn = problem("RNN")
    return {
        "version": torch.__version__.partition("+")[0],
        "gradients": gradients(rnn),
        "layers": {name: layer_gradients(name, problem(name)) for name in CELLS},
        "reach": reach(rnn),
        "whole": segments(rnn, detach=False),
        "detached": segments(rnn, detach=True),
        "backward twice": backward_twice(rnn),
        "packed": packed(rnn),
        "hessian product": hessian_product(rnn),
    }
