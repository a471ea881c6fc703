-- Which topic the offsets are of: one that was deleted and made anew has the name, not the id.
ALTER TABLE {schema}.offsets ADD COLUMN topic_id text NOT NULL DEFAULT '';
COMMENT ON COLUMN {schema}.offsets.topic_id IS 'Kafka''s id of the topic that the rows were made from; empty where it is not known.';
