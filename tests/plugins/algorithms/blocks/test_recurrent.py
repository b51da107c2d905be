"""The memory beside torch's own, and what it forgets."""

import pytest
import torch

from harness_algorithms.blocks.recurrent import forget, stacked_lstm

INPUTS, UNITS, LENGTH, SEEDS, COPIES = 3, 5, 7, 2, 4


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def torch_lstm(flat):
    """torch's LSTM with the parameters of one seed."""
    lstm = torch.nn.LSTM(INPUTS, UNITS)
    weight, bias = flat[: -4 * UNITS].view(4 * UNITS, -1), flat[-4 * UNITS :]
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(weight[:, :INPUTS])
        lstm.weight_hh_l0.copy_(weight[:, INPUTS:])
        lstm.bias_ih_l0.copy_(bias)
        lstm.bias_hh_l0.zero_()
    return lstm


def random_inputs():
    return torch.randn(LENGTH, SEEDS, COPIES, INPUTS, generator=torch.Generator().manual_seed(0))


def test_outputs_and_gradients_are_those_of_torch():
    memory, x = stacked_lstm(INPUTS, UNITS, generators(1, 2)), random_inputs()
    never = torch.zeros(LENGTH, SEEDS, COPIES, dtype=torch.bool)
    outputs, cells, (h, c) = memory.unroll(x, memory.initial(COPIES), never)
    weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(3))
    (gradient,) = torch.autograd.grad((outputs * weights).sum(), memory.flat)
    for seed in range(SEEDS):
        lstm = torch_lstm(memory.flat[seed])
        expected, (last_h, last_c) = lstm(x[:, seed])
        torch.testing.assert_close(outputs[:, seed], expected)
        torch.testing.assert_close((h[seed], c[seed]), (last_h[0], last_c[0]))
        (expected * weights[:, seed]).sum().backward()
        weight = torch.cat([lstm.weight_ih_l0.grad, lstm.weight_hh_l0.grad], 1).flatten()
        torch.testing.assert_close(gradient[seed], torch.cat([weight, lstm.bias_ih_l0.grad]), atol=1e-5, rtol=1e-4)
    assert torch.equal(outputs[-1], h)
    assert torch.equal(cells[-1], c)


def test_an_episode_remembers_nothing_of_the_one_before():
    memory, x = stacked_lstm(INPUTS, UNITS, generators(1, 2)), random_inputs()
    ended = torch.zeros(LENGTH, SEEDS, COPIES, dtype=torch.bool)
    ended[2, 0, 1] = True
    whole, _, _ = memory.unroll(x, memory.initial(COPIES), ended)
    fresh, _, _ = memory.unroll(x[3:], memory.initial(COPIES), ended[3:])
    assert torch.equal(whole[3:, 0, 1], fresh[:, 0, 1])
    assert not torch.equal(whole[3:, 0, 0], fresh[:, 0, 0])


def test_only_what_the_mask_says_is_forgotten():
    memory, x = stacked_lstm(INPUTS, UNITS, generators(1, 2)), random_inputs()
    state = memory(x[0], memory.initial(COPIES))
    mask = torch.zeros(SEEDS, COPIES, dtype=torch.bool)
    mask[1, 2] = True
    for before, after in zip(state, forget(state, mask), strict=True):
        assert after[1, 2].eq(0).all()
        assert torch.equal(after[~mask], before[~mask])


@pytest.mark.parametrize("beside", [(1,), (1, 2), (1, 2, 3, 4, 5)])
def test_a_seed_has_the_same_bits_whatever_stands_beside_it(beside):
    x = random_inputs()[:, :1]
    alone = stacked_lstm(INPUTS, UNITS, generators(1))
    among = stacked_lstm(INPUTS, UNITS, generators(*beside))
    never = torch.zeros(LENGTH, 1, COPIES, dtype=torch.bool)
    wide, none = (t.expand(-1, len(beside), *t.shape[2:]) for t in (x, never))
    one, many = alone.unroll(x, alone.initial(COPIES), never)[0], among.unroll(wide, among.initial(COPIES), none)[0]
    assert torch.equal(one[:, 0], many[:, 0])
    slopes = [torch.autograd.grad(out[:, 0].square().sum(), m.flat)[0][0] for out, m in ((one, alone), (many, among))]
    assert torch.equal(*slopes)


def test_forget_gates_start_open():
    memory = stacked_lstm(INPUTS, UNITS, generators(1))
    bias = memory.flat[0, -4 * UNITS :]
    assert bias.tolist() == [0.0] * UNITS + [1.0] * UNITS + [0.0] * 2 * UNITS
