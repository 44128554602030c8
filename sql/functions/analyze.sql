-- ANALYZE of hypertables, divided among transactions.
-- Run at CREATE EXTENSION; called on the target by the workers. TimescaleDB 2.19 and later, any edition.
--
-- TimescaleDB turns ANALYZE of a hypertable into ANALYZE of each chunk, each chunk's compressed relation, and the root. Here its hooks are
-- off meanwhile (`timescaledb.restoring`), so that ANALYZE reads exactly the tables that it names.

-- Gathers the statistics of chunks, as far as they still exist.
CREATE FUNCTION timescale_migrate.analyze_chunks(chunks oid[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    restoring constant text := current_setting('timescaledb.restoring');
    relations text;
BEGIN
    WITH chunk AS (
        SELECT c.oid FROM pg_class c WHERE c.oid = ANY (analyze_chunks.chunks)
    )
    SELECT string_agg(r.oid::regclass::text, ', ' ORDER BY r.oid) INTO relations
    FROM (
        SELECT oid FROM chunk
        UNION ALL
        SELECT s.compress_relid FROM _timescaledb_catalog.compression_settings s JOIN chunk ON chunk.oid = s.relid
        WHERE s.compress_relid IS NOT NULL
    ) r;
    IF relations IS NOT NULL THEN
        PERFORM set_config('timescaledb.restoring', 'on', true);
        EXECUTE 'ANALYZE ' || relations;
        PERFORM set_config('timescaledb.restoring', restoring, true);
    END IF;
END
$$;

-- Gathers the statistics of a hypertable as a whole, from a sample of all its chunks, each of which is locked. `alone`: there may be so
-- many chunks that no other such transaction can run at the same time. `itself`: the server would analyze each chunk as well, unless told otherwise.
CREATE FUNCTION timescale_migrate.analyze_root(hypertable regclass, alone boolean, itself boolean)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    restoring constant text := current_setting('timescaledb.restoring');
BEGIN
    IF alone THEN
        PERFORM timescale_migrate.lock_statistics();
    END IF;
    PERFORM set_config('timescaledb.restoring', 'on', true);
    EXECUTE format('ANALYZE %s %s', CASE WHEN analyze_root.itself THEN 'ONLY' END, hypertable);
    PERFORM set_config('timescaledb.restoring', restoring, true);
END
$$;
