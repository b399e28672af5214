#!/usr/bin/env python3
"""Times PyTorch's attention in bf16, forward and backward, at the sizes of AttentionOnAGpu.DISABLED_TakesSoLong
(test/cuda/attention_test.cpp): medians from CUDA events, flash attention alone."""

import statistics

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

# batch, heads, positions, depth: GPT-2 124M at context 1,024, and heads of 128.
SIZES = [(16, 12, 1024, 64), (4, 16, 4096, 128)]


def median_ms(work, repeats=20):
    times = []
    for repeat in range(repeats + 3):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        if repeat >= 3:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


for batch, heads, positions, depth in SIZES:
    q, k, v = (torch.randn(batch, heads, positions, depth, device="cuda", dtype=torch.bfloat16, requires_grad=True)
               for _ in range(3))
    g = torch.randn_like(q)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        forward = median_ms(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        backward = median_ms(lambda: torch.autograd.grad(y, (q, k, v), g, retain_graph=True))
    print(f"PyTorch {batch} x {heads} x {positions} x {depth}: {forward:.3f} ms forward, {backward:.3f} ms gradient")
