"""The demo: input, a worker and sinks as processes of their own, a live view, and the proof."""
