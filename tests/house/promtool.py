"""Debian's Prometheus and its tool."""

import os
import shutil
import subprocess

import pytest

from tests.house.repository import ROOT


def program(name: str) -> str:
    """Path of ``promtool`` or ``prometheus``; a test without is skipped, but never under CI."""
    found = shutil.which(name)
    if found is None:
        reason = f"no {name} on this machine: apt-get install prometheus"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return found


def promtool(*arguments: str) -> None:
    """Run promtool in the root of the repository; a failure shows what it said."""
    run = subprocess.run(
        [program("promtool"), *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
