"""A small webhook receiver."""
