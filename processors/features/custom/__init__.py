"""A user's own features: one module each, taken up by `tape features generate`.

docs/features-guide.md shows how. A module has `FEATURES` and either `on_bar`, with `FLOATS` and
`INTEGERS`, called at each closed bar of one minute, or `on_decision`, called at each decision.
`dispatch` is generated and calls them all.
"""
