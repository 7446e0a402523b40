"""The checks of scripts/torture, one idea a module. They know the documents and the command line, nothing else."""

# Imported for their registrations.
from . import catchup, cells, chain, clocks, codes, crowd, damage, disk, ends, feeds, fence, keys, kills  # noqa: F401
from . import hostile, listeners, posts, power, saves, second, sessions, snapshots, stages, starts, stops, wire, words  # noqa: F401
from .rounds import CHECKS

__all__ = ["CHECKS"]
