"""OKX v5: spot, linear swaps and futures, inverse swaps and futures: their bytes to events.

One connection carries all of these; the instrument's name tells to which venue it belongs.
"""

from venues.okx.link import OkxLink
from venues.okx.rest import parse as parse_answer

__all__ = ["OkxLink", "parse_answer"]
