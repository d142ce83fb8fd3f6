"""One thread for all of it."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """More threads than free cores make everything here several times slower."""
    torch.set_num_threads(1)
