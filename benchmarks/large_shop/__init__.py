"""A shop of any size for benchmarks/million.py: filled, sorted, looked at."""
