"""Watcher of `corn dev`: detects changed files, and reports reloads to browsers."""
