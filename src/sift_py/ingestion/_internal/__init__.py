"""How ingestion works inside: no contract.

- `timestamps`, `layout`, `values`, `rows`, `ends`: rows to messages; pure.
- `declared`: whether flows and tags are valid ones; pure.
- `reconcile`: what the config declares against what the server has; pure.
- `configs`, `rules`, `runs`, `calls`: the control calls.
- `streams`: the ingest call.
- `spill`: batches that could not be sent, on disk until they can.
- `columns`: arrays and data frames to messages; the part that needs NumPy.
- `shown`: values in messages; pure.
- `interval`: the clock of a timed flush.
"""
