"""Columns of a flow: read (`given`, `arrow`), checked (`check`, `times`), sent (`table`).

The only part of the client that needs NumPy, and imported when columns are sent.
"""
