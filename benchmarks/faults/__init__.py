"""Black-box fault scenarios, run against corn and its peers: `python -m benchmarks.faults` writes who survives what."""
