"""The codec: gRPC frames and ingest messages on one side, columns on the other.

Knows bytes and columns, and nothing of sockets, threads, clocks, catalogs or files.
"""
