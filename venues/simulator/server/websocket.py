"""WebSocket frames as a server writes them (RFC 6455): unmasked, one frame a message.

They are made here and written to the transport as they are, many in one write: a message is framed
once however many clients get it.
"""

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
_SHORT, _MEDIUM = 126, 1 << 16

GOING_AWAY, POLICY_VIOLATION, OVERLOADED = 1001, 1008, 1013


def frame(data: bytes, opcode: int = TEXT) -> bytes:
    """One whole frame of `data`."""
    size = len(data)
    if size < _SHORT:
        return bytes((opcode, size)) + data
    if size < _MEDIUM:
        return bytes((opcode, 126, size >> 8, size & 0xFF)) + data
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + data


def close_frame(code: int, reason: str = "") -> bytes:
    """The frame that says goodbye, with a code of the RFC."""
    return frame(code.to_bytes(2, "big") + reason.encode()[:120], CLOSE)
