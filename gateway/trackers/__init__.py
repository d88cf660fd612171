"""Adapters for tracking systems that people have: each makes tickets of events, adds to them, and reads back how they stand."""
