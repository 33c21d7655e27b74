"""The networks themselves: shapes, foldings, shuffles, and that windows of two pathways meet without a seam."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from osler.models.neural.segmentation import pathways, unet, windows
from osler.models.neural.segmentation.networks import network_of

UNET = {
    "kind": "unet", "dims": 3, "channels": 2, "outputs": 3, "stem": [2, 2, 2], "widths": [8, 16, 16], "strides": [[2, 2, 2], [1, 2, 2]],
    "kernels": [[3, 3, 3], [3, 3, 3], [1, 3, 3]], "blocks": 2, "norm": "instance", "residual": False, "heads": 2, "prior": [0.0, -1.0, -2.0],
    "margin": [0, 0, 0],
}  # fmt: skip
PATHS = {
    "kind": "deepmedic", "dims": 2, "channels": 2, "outputs": 2, "widths": [8, 8, 12, 12], "kernels": [[3, 3]] * 4, "factor": [3, 3], "hidden": 16,
    "norm": "batch", "dropout": 0.2, "margin": [12, 12], "prior": [0.0, -1.0],
}  # fmt: skip


def made(description):
    """A network with some statistics in its norms."""
    torch.manual_seed(0)
    net = network_of(description)
    for part in net.modules():
        if hasattr(part, "running_mean"):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
    return net


@pytest.mark.parametrize("factors", [(2, 2, 2), (1, 2, 2), (3, 1, 2)])
def test_a_shuffle_loses_nothing(factors):
    x = torch.randn(2, 3, 6, 4, 8)
    there = unet.unshuffled(x, factors)
    assert there.shape[1] == 3 * np.prod(factors)
    assert torch.equal(unet.shuffled(there, factors), x)
    # the first output channel holds every factor-th voxel from the first on
    assert torch.equal(there[:, 0], x[:, 0, :: factors[0], :: factors[1], :: factors[2]])


@pytest.mark.parametrize("change", [{}, {"residual": True}, {"norm": "batch"}, {"blocks": 3}, {"blocks": 1}])
def test_a_unet_answers_every_voxel_and_coarser_levels_while_learning(change):
    net = made(UNET | change)
    x = torch.randn(2, 2, 8, 16, 16)
    fine, coarse = net.train()(x)
    assert fine.shape == (2, 3, 8, 16, 16) and coarse.shape == (2, 3, 4, 8, 8)
    alone = net.eval()(x)
    assert len(alone) == 1 and alone[0].shape == (2, 3, 8, 16, 16)


def test_a_unet_begins_with_the_shares_of_the_classes():
    net = made(UNET | {"heads": 1}).eval()
    with torch.inference_mode():
        mean = net(torch.randn(2, 2, 16, 16, 16))[0].mean(dim=(0, 2, 3, 4))
    assert float(mean[0]) > float(mean[1]) > float(mean[2])


@pytest.mark.parametrize("description", [UNET | {"norm": "batch"}, UNET | {"norm": "batch", "residual": True}, PATHS])
def test_folding_norms_changes_no_answer(description):
    net = made(description).eval()
    x = torch.randn(1, 2, *((16, 16, 16) if description["dims"] == 3 else (39, 39)))
    with torch.inference_mode():
        before = net(x)[0]
        after = net.folded()(x)[0]
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    assert not any(hasattr(part, "running_mean") for part in net.modules())


def test_two_pathways_answer_the_middle():
    net = made(PATHS).train()
    assert net(torch.randn(2, 2, 15 + 24, 9 + 24))[0].shape == (2, 2, 15, 9)


def test_a_volume_alone_is_convolved_as_one_among_several():
    torch.manual_seed(0)
    layer = unet.convolution(3, 4, 6, (3, 3, 3), bias=True)
    alone, stretched = torch.randn(1, 4, 9, 10, 7), unet.convolution(3, 4, 6, (1, 1, 1), (2, 2, 2))
    several = layer(torch.cat([alone, alone]))[:1]
    with torch.inference_mode():
        torch.testing.assert_close(layer(alone), several.detach(), atol=1e-5, rtol=1e-5)
        assert stretched(alone).shape == (1, 6, 5, 5, 4)
        assert layer.to(torch.bfloat16)(alone.to(torch.bfloat16)).dtype == torch.bfloat16
    layer.float()(alone).sum().backward()  # while learning torch's own way, which knows gradients
    assert layer.weight.grad is not None


def test_windows_of_two_pathways_meet_without_a_seam():
    net = made(PATHS).eval().folded()
    x = np.random.default_rng(0).normal(size=(2, 40, 31)).astype(np.float32)
    with torch.inference_mode():
        whole, parts = (windows.over(x, lambda t: net(t)[0], [3, 3], most, [9, 9], [3, 3], [12, 12]) for most in (99 * 99, 9 * 12))
    np.testing.assert_allclose(parts, whole, atol=1e-4)


def test_means_over_blocks():
    x = torch.arange(24.0).reshape(1, 1, 4, 6)
    torch.testing.assert_close(pathways.averaged(x, (2, 3)), torch.nn.functional.avg_pool2d(x, (2, 3)))
    assert pathways.averaged(x, (1, 1)) is x
    assert torch.equal(pathways.trimmed(x, (2, 2)), x[..., 1:3, 2:4])


def test_an_instance_norm_leaves_a_lone_voxel():
    x = torch.randn(2, 3, 1, 1)
    assert torch.equal(unet.InstanceNorm(3)(x), x)
