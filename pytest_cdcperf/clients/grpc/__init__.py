"""The gRPC client, which measures each call."""
