"""What the cores multiply: the best rate of bf16 matrix products, one thread a core, each on matrices of its own.

python extract_matrix_product.py [--threads 2]          prints {"tflops": ..., "size": ...}
"""

from __future__ import annotations

import argparse
import json
import threading
import time

import torch

SIZES = (512, 1024, 2048, 4096)
SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    rate, size = max((measured(size, given.threads), size) for size in SIZES)
    print(json.dumps({"tflops": rate, "size": size}))


def measured(size: int, threads: int) -> float:
    """Return TFLOP/s of all threads together."""
    rates = [0.0] * threads

    def work(at: int) -> None:
        torch.set_num_threads(1)
        a, b, out = (torch.randn(size, size).bfloat16() for _ in range(3))
        torch.mm(a, b, out=out)  # the first prepares
        ready.wait()
        start, done = time.perf_counter(), 0
        while (now := time.perf_counter()) - start < SECONDS:
            torch.mm(a, b, out=out)
            done += 1
        rates[at] = done * 2 * size**3 / (now - start) / 1e12

    ready = threading.Barrier(threads)
    workers = [threading.Thread(target=work, args=[at]) for at in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(rates)


if __name__ == "__main__":
    main()
