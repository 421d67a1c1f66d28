"""What a step needs: memory that is used again, and a word for its lack."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from featx.training.stepping import OutOfMemory, memory_told, without_copies

STEPS = """
import resource, sys, torch
from contextlib import nullcontext
from featx.training.stepping import memory_reused
torch.set_num_threads(1)

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.empty(20_000_000).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
outside = faults()
with memory_reused():
    faults()
    inside = faults()
print(outside, inside, faults())
"""


def test_large_blocks_that_are_freed_are_used_again_and_only_while_it_learns():
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    outside, inside, after = map(int, done.stdout.split())
    assert inside < 0.05 * outside and after > 0.25 * outside


def test_a_lack_of_memory_is_told_from_other_errors():
    for error in (MemoryError("x"), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")):
        with pytest.raises(OutOfMemory), memory_told():
            raise error
    with pytest.raises(RuntimeError, match="shapes"), memory_told():
        raise RuntimeError("shapes do not fit")


@pytest.mark.parametrize("kind", [nn.ReLU6, nn.SiLU, nn.Hardswish, nn.ReLU])
def test_no_copy_of_a_map_is_kept_for_the_way_back(kind):
    def copies(network):
        with torch.profiler.profile() as told:
            value = network(torch.linspace(-3, 9, 60, requires_grad=True) * 1)
            value.sum().backward()
        return sum(event.key == "aten::clone" for event in told.key_averages()), value.detach()

    network = nn.Sequential(kind(inplace=True))
    before, value = copies(network)
    without_copies(network)
    after, same = copies(network)
    assert (before, after) == (int(kind is not nn.ReLU), 0) and torch.equal(value, same)
