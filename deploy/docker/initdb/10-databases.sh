#!/bin/sh
# First start of the database: one for the registry, the extension, and a role that only reads.
set -eu
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 \
    --set reader_password="$GRAFANA_DATABASE_PASSWORD" <<'SQL'
CREATE DATABASE registry;
CREATE EXTENSION IF NOT EXISTS timescaledb;
CREATE ROLE grafana LOGIN PASSWORD :'reader_password';
GRANT pg_read_all_data TO grafana;
ALTER ROLE grafana SET default_transaction_read_only = on;
SQL
