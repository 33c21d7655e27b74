"""A gated recurrent unit over token numbers, made for one processor core: the input's part of every gate is a table
look-up, the backward pass is written out, and the weight's gradient is one matrix product for all steps.

Equations: K. Cho et al., EMNLP 2014, in the form of torch.nn.GRU (the reset gate acts on the hidden product); a test
compares values and gradients with it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Scan(torch.autograd.Function):
    """h_t of all steps from the input's gates (steps, n, 3 width), the first state and the hidden weights."""

    @staticmethod
    def forward(context: Any, gates: Tensor, first: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        steps, n, _ = gates.shape
        width = first.shape[1]
        cast = weight.to(dtype)
        states = gates.new_empty(steps + 1, n, width)
        kept = gates.new_empty(steps, n, 4 * width)
        states[0] = first
        for t in range(steps):
            hidden = torch.mm(states[t].to(dtype), cast.t()).float()
            gate, new, product, _ = torch.split(kept[t], [2 * width, width, width, 0], dim=1)
            torch.add(gates[t, :, : 2 * width], hidden[:, : 2 * width], out=gate).sigmoid_()
            torch.add(hidden[:, 2 * width :], bias, out=product)
            torch.addcmul(gates[t, :, 2 * width :], gate[:, :width], product, out=new).tanh_()
            torch.lerp(new, states[t], gate[:, width:], out=states[t + 1])
        context.save_for_backward(states, kept, weight)
        context.dtype = dtype
        return states[1:]

    @staticmethod
    def backward(context: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        states, kept, weight = context.saved_tensors
        steps, n, width = grad.shape
        cast = weight.to(context.dtype)
        inputs = grad.new_empty(steps, n, 3 * width)
        hidden = torch.empty(steps, n, 3 * width, dtype=context.dtype)
        bias = grad.new_zeros(width)
        flow = torch.zeros_like(states[0])
        for t in range(steps - 1, -1, -1):
            flow = flow + grad[t]
            gate, new, product, _ = torch.split(kept[t], [2 * width, width, width, 0], dim=1)
            reset, update = gate[:, :width], gate[:, width:]
            d_gate, d_new = inputs[t, :, : 2 * width], inputs[t, :, 2 * width :]
            torch.mul(flow, 1 - update, out=d_new).mul_(1 - new * new)
            torch.mul(d_new, product, out=d_gate[:, :width])
            torch.mul(flow, states[t] - new, out=d_gate[:, width:])
            d_gate.mul_(gate * (1 - gate))
            through = d_new * reset
            bias += through.sum(0)
            hidden[t, :, : 2 * width] = d_gate
            hidden[t, :, 2 * width :] = through
            flow = torch.addcmul(torch.mm(hidden[t], cast).float(), flow, update)
        before = states[:-1].reshape(steps * n, width).to(context.dtype)
        d_weight = torch.mm(hidden.reshape(steps * n, 3 * width).t(), before).float()
        return inputs, flow, d_weight, bias, None


class TokenGRU(nn.Module):
    """One recurrent layer over token numbers.

    Args:
        n_tokens: size of the vocabulary.
        width: of the state.
        half: matrix products in bfloat16 (weights and states stay float32).
    """

    def __init__(self, n_tokens: int, width: int, half: bool = False) -> None:
        super().__init__()
        self.width = width
        self.dtype = torch.bfloat16 if half else torch.float32
        bound = width**-0.5
        self.table = nn.Parameter(torch.empty(n_tokens, 3 * width).uniform_(-1, 1))
        self.weight = nn.Parameter(torch.empty(3 * width, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor, first: Tensor | None = None) -> Tensor:
        """States (steps, n, width) after each of the tokens (steps, n)."""
        if first is None:
            first = self.table.new_zeros(tokens.shape[1], self.width)
        gates = nn.functional.embedding(tokens, self.table)
        return _Scan.apply(gates, first, self.weight, self.bias, self.dtype)

    def step(self, token: Tensor, state: Tensor) -> Tensor:
        """The next state (n, width) after one token (n,) each; no gradient."""
        with torch.no_grad():
            gates = self.table[token]
            hidden = torch.mm(state.to(self.dtype), self.weight.to(self.dtype).t()).float()
            gate = torch.sigmoid(gates[:, : 2 * self.width] + hidden[:, : 2 * self.width])
            product = hidden[:, 2 * self.width :] + self.bias
            new = torch.tanh(gates[:, 2 * self.width :] + gate[:, : self.width] * product)
            return torch.lerp(new, state, gate[:, self.width :])
