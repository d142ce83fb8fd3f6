"""Freed memory goes back to the system."""

import platform

import psutil
import pytest

from service.memory import give_back

BLOCK = 64 * 1024  # below what malloc maps by itself
BLOCKS = 800


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked for it")
def test_pages_between_blocks_in_use_are_given_back() -> None:
    process = psutil.Process()
    blocks = [bytearray(BLOCK) for _ in range(BLOCKS)]
    kept = blocks[::8]
    del blocks
    before = process.memory_info().rss
    give_back()
    freed = (BLOCKS - len(kept)) * BLOCK
    assert before - process.memory_info().rss > freed / 2
