"""Convolutions that end with a ReLU: value and gradients are those of the operations one by one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from featx.training import convolution as module
from featx.training.convolution import FUNCTIONS, convolution

APART = {"": lambda values: values, "relu": functional.relu, "relu6": functional.relu6}


def both(like, function, images, upstream, *, bf16=False):
    """Return value and gradients of one convolution and of the operations one by one."""
    found = []
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for way in ("one", "apart"):
            ends = [v.detach().clone().requires_grad_() for v in (images, like.weight, like.bias) if v is not None]
            weight, bias = ends[1], ends[2] if like.bias is not None else None
            if way == "one":
                net = convolution(like, function)
                net.weight, net.bias = weight, bias
                value = net(ends[0])
            else:
                how = (like.stride, like.padding, like.dilation, like.groups)
                value = APART[function](functional.conv2d(ends[0], weight, bias, *how))
            found.append([value, *torch.autograd.grad(value, ends, upstream.to(value.dtype))])
    return found


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(FUNCTIONS),
    st.tuples(st.sampled_from([1, 3]), st.integers(1, 2), st.integers(1, 2), st.sampled_from([1, 2, 4])),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_value_and_gradients_are_those_of_the_operations_apart(function, how, bias, last, seed):
    torch.manual_seed(seed)
    kernel, stride, dilation, groups = how
    like = nn.Conv2d(4, 8, kernel, stride, kernel // 2, dilation, groups, bias)
    images = 3 * torch.randn(3, 4, 9, 7)
    images = images.contiguous(memory_format=torch.channels_last) if last else images
    one, apart = both(like, function, images, torch.randn_like(like(images)))
    for value, other in zip(one, apart, strict=True):
        torch.testing.assert_close(value, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("function", ["relu", "relu6"])
def test_bf16_is_that_of_torch(function):
    torch.manual_seed(0)
    like, images = nn.Conv2d(4, 8, 3), torch.randn(2, 4, 9, 9)
    one, apart = both(like, function, images, torch.randn(2, 8, 7, 7), bf16=True)
    assert one[0].dtype == torch.bfloat16 and one[1].dtype == torch.float32
    for value, other in zip(one, apart, strict=True):
        torch.testing.assert_close(value, other, rtol=2e-2, atol=2e-2)


def test_without_onednn_it_is_the_operations_apart(monkeypatch):
    monkeypatch.setattr(module, "_has_one_pass", lambda: False)
    monkeypatch.setattr(module, "_in_one_pass", lambda: pytest.fail("in one pass"))
    torch.manual_seed(0)
    one, apart = both(nn.Conv2d(4, 8, 3), "relu", torch.randn(2, 4, 9, 9), torch.randn(2, 8, 7, 7))
    assert all(torch.equal(value, other) for value, other in zip(one, apart, strict=True))
