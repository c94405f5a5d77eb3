"""Threads that work in the database beside the one that waits for them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Barrier

from django.db import connection


@contextmanager
def database_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """`count` threads, each with a connection of its own, which ends with it. They see what is committed, and only that."""
    with ThreadPoolExecutor(max_workers=count) as pool:
        try:
            yield pool
        finally:
            everyone = Barrier(count)  # so that none of them closes twice while another closes never
            wait([pool.submit(_close, everyone) for _ in range(count)])


def _close(everyone: Barrier) -> None:
    everyone.wait()
    connection.close()
