"""Command `corn top`: live view of an instance in a terminal.

    poller (thread)   requests the status of the instance once an interval, and CPU and memory from the system
       |  Sample
       v
    model (pure)      the last samples  ->  View: rates, quantiles, sparklines
       |
       v
    view (pure)       View + Interaction  ->  lines of a given width and height  ->  terminal
       ^
    keys (pure)       keys  ->  selection, confirmation, pages, and requests to the instance

The thread at the terminal never waits for an instance, so a master that hangs delays neither the keys nor the exit.
docs/explanation/decisions/0019-corn-top-is-drawn-by-rich.md has what was rejected.
"""
