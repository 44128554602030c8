-- Bloom filters, the sparse indexes whose contents depend on how TimescaleDB was built.
-- Run at CREATE EXTENSION; called on the target by the coordinator. TimescaleDB 2.19 and later, Community edition.

-- Makes the Bloom filters again that a chunk has on the source and that could not be copied. `spec` as in attach_compressed(). Only since 2.28
-- can TimescaleDB do this without compressing the chunk again; before, the chunk is left as it is.
CREATE FUNCTION timescale_migrate.rebuild_sparse_indexes(chunk regclass, spec jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = error
AS $$
DECLARE
    hypertable constant regclass := (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = chunk);
    wanted constant jsonb := nullif(spec #> '{settings,index}', 'null');
    status constant integer := timescale_migrate.chunk_status(chunk);
    common record;
BEGIN
    IF to_regprocedure('_timescaledb_functions.rebuild_sparse_index(regclass, boolean)') IS NULL
       OR NOT wanted @> '[{"type": "bloom"}]'
       OR EXISTS (SELECT FROM _timescaledb_catalog.compression_settings s WHERE s.relid = chunk AND s.index = wanted)
    THEN
        RETURN;
    END IF;
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', hypertable);
    SELECT s AS settings INTO STRICT common FROM _timescaledb_catalog.compression_settings s WHERE s.relid = hypertable;
    -- It uses the hypertable's settings, and skips frozen chunks.
    PERFORM timescale_migrate.set_chunk_status(chunk, status & ~4);
    UPDATE _timescaledb_catalog.compression_settings h
    SET segmentby = k.segmentby, orderby = k.orderby, orderby_desc = k.orderby_desc, orderby_nullsfirst = k.orderby_nullsfirst, index = wanted
    FROM _timescaledb_catalog.compression_settings k
    WHERE h.relid = hypertable AND k.relid = chunk;
    PERFORM _timescaledb_functions.rebuild_sparse_index(chunk, false);
    DELETE FROM _timescaledb_catalog.compression_settings s WHERE s.relid = hypertable;
    INSERT INTO _timescaledb_catalog.compression_settings SELECT (common.settings).*;
    PERFORM timescale_migrate.set_chunk_status(chunk, status);
END
$$;
