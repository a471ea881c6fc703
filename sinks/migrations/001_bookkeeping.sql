-- What the sink keeps for itself beside the tables of events.
CREATE TABLE {schema}.table_definitions (
    name text PRIMARY KEY,
    topic text NOT NULL,
    record text NOT NULL,
    columns jsonb NOT NULL,
    storage text NOT NULL CHECK (storage IN ('hypertable', 'native')),
    chunk_interval_hours integer NOT NULL,
    quote_interval_ms integer,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE {schema}.table_definitions IS 'Tables of events as they were made.';
COMMENT ON COLUMN {schema}.table_definitions.quote_interval_ms IS 'Sampling of a sampled table.';

CREATE TABLE {schema}.offsets (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    last_origin_offset bigint NOT NULL DEFAULT -1,
    last_seq integer NOT NULL DEFAULT -1,
    generation uuid NOT NULL DEFAULT gen_random_uuid(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE {schema}.offsets IS 'How far each partition of a topic is in the tables; written in the rows'' transaction.';
COMMENT ON COLUMN {schema}.offsets.next_offset IS 'First offset that is not yet in the tables.';
COMMENT ON COLUMN {schema}.offsets.last_origin_offset IS 'With last_seq the id of the newest derived event; -1 for none.';
COMMENT ON COLUMN {schema}.offsets.generation IS 'Changes when a rebuilt table takes the place of this one.';

CREATE TABLE {schema}.quote_samples (
    partition integer NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    event_time_us bigint NOT NULL,
    PRIMARY KEY (partition, venue, symbol)
);
COMMENT ON TABLE {schema}.quote_samples IS 'Event time (microseconds UTC) of the newest stored quote by partition, venue and symbol.';
