"""Command `corn top`: live view of an instance in a terminal.

    thread: Watch     requests the status of the instance once an interval, and CPU and memory from the system
       |  Sample
       v
    figures (pure)    the last samples  ->  View: rates, quantiles, sparklines
       |
       v
    screen (pure)     View + Interaction  ->  lines of a given width and height  ->  terminal
       ^
    interaction       keys  ->  selection, confirmation, pages, and Orders to the instance

The thread at the terminal never waits for an instance, so a master that hangs delays neither the keys nor the exit.
docs/explanation/decisions/0019-corn-top-is-drawn-by-rich.md has what was rejected.
"""
