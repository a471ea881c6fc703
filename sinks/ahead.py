"""Working ahead: the next items are made in a thread while the present one is used."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

_T = TypeVar("_T")
_LOOK_S = 0.2


class _Items(Generic[_T]):
    def __init__(self, make: Iterator[_T], depth: int) -> None:
        self._make = make
        self._queue: Queue[_T | BaseException | None] = Queue(depth)
        self._stop = Event()
        self._thread = Thread(target=self._run, name="tape sink ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[_T]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def end(self) -> None:
        """Wait until the thread makes no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for item in self._make:
                if not self._put(item):
                    return
            self._put(None)
        except BaseException as error:  # raised where the items are used
            self._put(error)

    def _put(self, item: _T | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_LOOK_S)
            except Full:
                continue
            return True
        return False


@contextmanager
def ahead(make: Iterator[_T], depth: int = 2) -> Iterator[Iterator[_T]]:
    """The items of an iterator, up to `depth` of them made before they are asked for.

    It runs in a thread of its own, which has ended when the block ends; what was made and not
    used is dropped. What it raises is raised where its next item is asked for.
    """
    items = _Items(make, depth)
    try:
        yield iter(items)
    finally:
        items.end()
