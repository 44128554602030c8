-- The chunks that TimescaleDB has made for rows that it was given: of tiered chunks, of tables that have become hypertables, or into other chunks than the source's.
-- Run at CREATE EXTENSION; called on the target by the workers. TimescaleDB 2.19 and later, any edition.

-- All chunks of a hypertable except those that copy tasks of a run have made.
CREATE FUNCTION timescale_migrate.routed_chunks(run bigint, hypertable regclass)
RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT i.inhrelid::regclass
    FROM pg_catalog.pg_inherits i
    WHERE i.inhparent = routed_chunks.hypertable
      -- Other tables may inherit from a hypertable as well.
      AND timescale_migrate.chunk_id(i.inhrelid) IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM timescale_migrate.task_log t
          WHERE t.run = routed_chunks.run AND t.phase = 'copy' AND t.relation = i.inhrelid)
$$;
