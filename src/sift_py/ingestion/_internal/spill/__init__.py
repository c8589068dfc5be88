"""Batches that could not be sent, on disk until they can.

- `records`: the format of a spill file; pure.
- `disk`: what they need of the file system.
- `lane`: a folder of spill files that one program writes and sends.
- `folder`: the lanes of a spill folder, and what is set aside.
- `delivery`: how a record gets to the server, and what becomes of one that is refused.
- `sender`: the thread that sends lanes.
- `streams`: ingest calls that spill when the server is away.
"""
