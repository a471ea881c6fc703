"""One file a figure, the peer beside us, run by `tape bench NAME --json`."""
