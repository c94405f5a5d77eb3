"""When the garbage collector looks."""

import gc
import subprocess
import sys

import pytest

from ground.collecting import SELDOM, seldom_collected


def test_what_a_web_process_begins_with_is_left_alone_by_the_collector():
    """In a process of its own: freezing this one would hide the tests' own cycles."""
    code = "import gc, config.wsgi; print(gc.get_freeze_count(), len(gc.get_objects()))"
    said = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    frozen, looked_at = map(int, said.stdout.split())
    assert frozen > 50_000
    assert looked_at < frozen / 10


def test_the_collector_is_back_after_seldom_even_when_that_failed():
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="broken"), seldom_collected():
        assert gc.get_threshold() == SELDOM
        raise ValueError("broken")
    assert gc.get_threshold() == before
