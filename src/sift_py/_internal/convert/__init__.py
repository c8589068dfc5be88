"""From the client's own classes to what goes over the wire."""
