"""Why bytes are refused: one list of reasons for columns and single events."""

REASONS = (
    "",
    "the bytes end too early",
    "an integer is longer than 64 bits",
    "a boolean is neither 0 nor 1",
    "an enum's symbol is unknown",
    "a length is negative or beyond the bytes",
    "text is not UTF-8",
    "a union's index is out of range",
    "bytes are left over at the end",
    "an int is beyond 32 bits",
    "null, where the newest schema has none",
    "no Confluent frame",
    "unknown schema id",
    "a record that does not belong on this topic",
)
(
    OK,
    TRUNCATED,
    OVERLONG,
    BAD_BOOLEAN,
    BAD_ENUM,
    BAD_LENGTH,
    BAD_TEXT,
    BAD_UNION,
    TRAILING,
    BAD_INT,
    NULL,
    NO_FRAME,
    UNKNOWN_ID,
    MISPLACED,
) = range(len(REASONS))
