"""Measuring this engine and others in turn."""
