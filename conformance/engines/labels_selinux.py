# SPDX-License-Identifier: Apache-2.0
"""SELinux's type of the runtime's file."""
import contextlib
from harness import NotRun
@contextlib.contextmanager
def opened(given):
    raise NotRun("x")
    yield
