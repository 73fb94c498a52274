"""Become another program that does not outlive the process that started it.

Run as a script, `python -I -S tether.py <parent pid> <program> <arguments…>`, between fork and exec:
what it does there would not be safe in a `preexec_fn` of a process with threads. Linux only; elsewhere
it just becomes the program. Uses nothing but the standard library, so that it costs some 15 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2); survives execve(2)


def main() -> None:
    parent_pid, *argv = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent_pid):
            sys.exit("the process that started this one has ended")
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.exit(f"cannot run {argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
