-- What has been done to tables with age, so that proofs know what may be missing.
ALTER TABLE {schema}.table_definitions ADD COLUMN dropped_before timestamptz;
ALTER TABLE {schema}.table_definitions ADD COLUMN compress_after_days integer;
COMMENT ON COLUMN {schema}.table_definitions.dropped_before IS 'Rows of earlier event times may have been dropped by retention; NULL: none.';
COMMENT ON COLUMN {schema}.table_definitions.compress_after_days IS 'Age at which TimescaleDB''s policy compresses chunks; NULL: there is no policy.';
