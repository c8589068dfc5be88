"""Answers SQL: points, hot and stored, and the catalog as tables that can only be read.

`engine.SqlEngine` is the door. It describes the tables (`tables`, `views`, `once`, `flow_views`,
`catalog_tables`) to a process of its own for each statement (`worker`), which has DuckDB in it,
checks the statement (`statement`), and may take so much memory and time and no more. What a
statement is refused is refused twice: by what its syntax tree names, and by DuckDB, which is told
to open nothing but the files of the table of points.

Nothing is imported here: the process of a statement starts with this package.
"""
