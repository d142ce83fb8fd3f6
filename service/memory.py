"""Memory that was freed, given back to the system."""

import ctypes


def give_back() -> None:
    """Return free pages; blocks for some 10 ms, without the interpreter's lock.

    To open a bundle takes tens of megabytes for a moment. glibc keeps what lies between blocks that
    are still in use, in each thread's arena: 50 MB after a few swaps of an MNIST bundle. Where the
    allocator is another one there is nothing to ask for.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
