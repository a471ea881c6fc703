"""The command line, configuration, the local stack, the demo; and what users import."""
