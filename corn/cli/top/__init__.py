"""`corn top`: an instance, live, in a terminal.

    thread: Watch     asks the instance for its status once an interval, and the system for CPU and memory
       |  Sample
       v
    figures (pure)    the last samples  ->  View: rates, quantiles, sparklines
       |
       v
    screen (pure)     View + Interaction  ->  lines of a given width and height  ->  terminal
       ^
    interaction       keys  ->  what is selected, asked and shown, and Orders to the instance

The thread at the terminal never waits for an instance, so a master that hangs holds up neither the keys nor the end.
docs/explanation/decisions/0019-top-is-drawn-by-rich-from-samples.md has what was rejected.
"""
