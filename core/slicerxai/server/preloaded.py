"""Imported by the process that workers are forked from, so that they share the memory of what they import.

A failed import is left to the workers, which say it in the log (`slicerxai.server.worker.warm_up`).
"""

from __future__ import annotations

import contextlib
import gc

from slicerxai.server.worker import import_all, lower_priority

lower_priority()
with contextlib.suppress(Exception):
    import_all()
gc.collect()
gc.freeze()  # no later collection writes to what is shared
