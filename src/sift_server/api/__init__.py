"""The doors: gRPC, Connect and REST on one port. No logic lives here."""
