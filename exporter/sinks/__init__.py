"""Sinks: where alerts go. Each keeps ``pipeline.Sink``; none knows another."""
