"""Freed memory goes back to the system."""

import os
import platform
from pathlib import Path

import pytest

from service.memory import give_back

BLOCK = 64 * 1024  # below what malloc maps by itself
BLOCKS = 800


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked for it")
def test_pages_between_blocks_in_use_are_given_back() -> None:
    blocks = [bytearray(BLOCK) for _ in range(BLOCKS)]
    kept = blocks[::8]
    del blocks
    before = _resident_bytes()
    give_back()
    freed = (BLOCKS - len(kept)) * BLOCK
    assert before - _resident_bytes() > freed / 2
