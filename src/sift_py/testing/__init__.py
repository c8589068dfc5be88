"""Helps to test programs that send telemetry.

- `LocalServer`: a server in the test's process, on a temporary folder.
- `FaultProxy`: stands before a server and delays, cuts, swallows, or answers with a status.
- `ManualClock`: waits that take no time, and timestamps that are the same in each run.

Example:
    ```python
    with LocalServer() as server, FaultProxy(server.address) as proxy:
        proxy.answer(grpc.StatusCode.UNAVAILABLE, times=2)
        with server.channel(proxy.uri) as channel:
            run_my_program(channel)
        assert len(server.points("rover", "voltage")) == 100
    ```
"""

from sift_py.testing._clock import ManualClock
from sift_py.testing._proxy import FaultProxy
from sift_py.testing._server import LocalServer

__all__ = ["FaultProxy", "LocalServer", "ManualClock"]
