"""Features: what they are, and the kernels that count them up."""
