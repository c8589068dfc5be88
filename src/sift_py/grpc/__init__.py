"""The way to a server: `sift_py.grpc.transport` opens channels."""
