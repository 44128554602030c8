-- Chunk skipping as it is on the source.
-- Run at CREATE EXTENSION; called on the target by the coordinator and its workers. TimescaleDB 2.19 and later, any edition.

-- Enables chunk skipping on a column of a hypertable. Can be repeated.
CREATE FUNCTION timescale_migrate.enable_chunk_skipping(hypertable regclass, column_name name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = error
AS $$
DECLARE
    api constant name := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb');
    enabled constant text := current_setting('timescaledb.enable_chunk_skipping');
BEGIN
    PERFORM set_config('timescaledb.enable_chunk_skipping', 'on', true);
    EXECUTE format('SELECT FROM %I.enable_chunk_skipping($1, $2, if_not_exists => true)', api) USING hypertable, column_name;
    PERFORM set_config('timescaledb.enable_chunk_skipping', enabled, true);
END
$$;

-- Gives a chunk exactly these ranges, if there are any: an array of the objects in `chunks` of inventory/chunk_column_stats.sql. TimescaleDB
-- computes the ranges when it compresses a chunk; a chunk that arrives compressed has those of the source. For a column without a range, the
-- full range is inserted, because TimescaleDB skips a chunk without an entry.
CREATE FUNCTION timescale_migrate.set_chunk_ranges(chunk regclass, ranges jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number constant integer := timescale_migrate.chunk_id(chunk);
BEGIN
    DELETE FROM _timescaledb_catalog.chunk_column_stats s WHERE s.chunk_id = number AND ranges <> '[]';
    INSERT INTO _timescaledb_catalog.chunk_column_stats (hypertable_id, chunk_id, column_name, range_start, range_end, valid)
    SELECT k.hypertable_id, k.id, r->>'column', (r->>'range_start')::bigint, (r->>'range_end')::bigint, (r->>'valid')::boolean
    FROM _timescaledb_catalog.chunk k, jsonb_array_elements(ranges) r
    WHERE k.id = number;
    INSERT INTO _timescaledb_catalog.chunk_column_stats (hypertable_id, chunk_id, column_name, range_start, range_end, valid)
    SELECT s.hypertable_id, number, s.column_name, '-9223372036854775808', '9223372036854775807', true
    FROM _timescaledb_catalog.chunk_column_stats s
    JOIN _timescaledb_catalog.chunk k ON k.id = number AND k.hypertable_id = s.hypertable_id
    WHERE coalesce(s.chunk_id, 0) = 0
      AND NOT EXISTS (SELECT FROM _timescaledb_catalog.chunk_column_stats own
                      WHERE own.chunk_id = number AND own.column_name = s.column_name);
END
$$;
