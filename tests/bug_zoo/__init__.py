"""The bug zoo: faults of real transformers, each with the check that catches it and with what hid it.

`FAULTS` is the list of them all. A file holds those of one theme: the faults, each a few lines that derive from
tinytx's own operations and layers, and then their entries.
"""

from bug_zoo import attention, heads, layers, linear, losses, masks, rows, sharing

THEMES = (rows, linear, attention, heads, masks, layers, sharing, losses)
FAULTS = [fault for theme in THEMES for fault in theme.FAULTS]
