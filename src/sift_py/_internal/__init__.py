"""What the modules of the client share; no part of the public API."""
