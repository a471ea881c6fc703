"""One file a command of `tape`."""
