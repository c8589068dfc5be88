"""Benchmarks: ours and others side by side, on real servers. `make bench` runs them.

`streams` sends the same rows with each client into a durable server; `alone` times the parts on
their own against what the machine can do; `growth` looks at what happens when flows, clients and
the lake grow. `targets` judges the figures; `report` prints tables and writes RESULTS.md.
"""
