"""HTTP clients that measure each request."""
