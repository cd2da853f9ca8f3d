"""Server in a process that belongs to another program: no master, no worker processes, no template."""
