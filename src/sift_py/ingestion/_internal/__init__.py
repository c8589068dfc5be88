"""How ingestion works inside: no contract.

- `timestamps`, `layout`, `requests`: rows to messages; pure.
- `reconcile`: what the config declares against what the server has; pure.
- `configs`, `rules`, `runs`: the control calls.
- `interval`: the clock of a timed flush.
"""
