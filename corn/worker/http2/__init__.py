"""HTTP/2 (RFC 9113): frames, streams and their flow control; docs/explanation/decisions/0011."""
