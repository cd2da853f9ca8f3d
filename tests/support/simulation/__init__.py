"""Deterministic simulation of the master: the real loop, inbox, executor and policy, with simulated processes and time.

kernel.py stands for the operating system, processes.py for the template and the workers, schedule.py runs one random
schedule, and `python -m tests.support.simulation` runs many.
"""
