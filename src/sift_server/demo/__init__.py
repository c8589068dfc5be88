"""`sift demo`: this machine's own telemetry, streamed, kept and read back."""

from sift_server.demo.run import run_demo

__all__ = ["run_demo"]
