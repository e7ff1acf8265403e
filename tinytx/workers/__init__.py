"""Threads that share out work: one pool, set from above by whoever owns it, used from below by operations.

Whoever owns threads (a trainer, decoding) opens ``with workers.use(pool):``. An operation that can share out its work
cuts it into `count` parts and hands them to `map`. No result depends on the threads, but for the last bits of a large
matrix product.
"""

from tinytx.workers import awake
from tinytx.workers.machine import processors
from tinytx.workers.pool import Pool, count, map, map_grouped, use
from tinytx.workers.sharing import each

__all__ = ["Pool", "awake", "count", "each", "map", "map_grouped", "processors", "use"]
