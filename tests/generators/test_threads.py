"""Threads that encode side by side."""

import torch

from mien.generators._threads import thread_a_core


def test_threads_run_on_one_core_each_at_the_callers_precision():
    before = torch.get_num_threads()
    layer, x = torch.nn.Linear(4, 4), torch.randn(2, 4)
    with torch.autocast("cpu", torch.bfloat16), thread_a_core(2) as pool:
        assert pool.submit(layer, x).result().dtype == torch.bfloat16
        assert pool.submit(torch.get_num_threads).result() == 1
    with thread_a_core(2) as pool:
        assert pool.submit(layer, x).result().dtype == torch.float32
    assert torch.get_num_threads() == before
