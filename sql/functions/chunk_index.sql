-- Makes the index or constraint of a chunk that belongs to one of its hypertable, chunk by chunk, so that workers can share the chunks.
-- Run at CREATE EXTENSION; called on the target. TimescaleDB 2.19 and later, any edition.
--
-- TimescaleDB makes an index of a hypertable on the root and on all chunks in one transaction, one after the other. Here its hooks are off
-- meanwhile (`timescaledb.restoring`), so that a statement acts on the chunk alone. Each chunk gets the index that TimescaleDB would have
-- made, with the same name and catalog rows, so that TimescaleDB recognizes it.

-- Makes a chunk's index for an index of the hypertable that belongs to no constraint.
CREATE FUNCTION timescale_migrate.create_chunk_index(index regclass, chunk regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    default_tablespace constant text := current_setting('default_tablespace');
    root_name constant name := (SELECT relname FROM pg_class WHERE oid = index);
    own record;
    new_name name;
BEGIN
    SELECT c.relname AS name, c.relnamespace, s.spcname AS tablespace
    INTO STRICT own
    FROM pg_class c
    LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
    WHERE c.oid = chunk;
    new_name := timescale_migrate.relation_name(own.relnamespace, own.name, root_name, format('%s_%s', chunk::oid, index::oid));

    -- If the hypertable's index has no tablespace of its own: the attached tablespace that follows the chunk's.
    PERFORM set_config('default_tablespace', coalesce((
        SELECT a.next
        FROM (
            SELECT t.tablespace_name, coalesce(lead(t.tablespace_name) OVER w, first_value(t.tablespace_name) OVER w) AS next
            FROM _timescaledb_catalog.tablespace t
            WHERE t.hypertable_id = (SELECT k.hypertable_id FROM _timescaledb_catalog.chunk k WHERE k.id = timescale_migrate.chunk_id(chunk))
            WINDOW w AS (ORDER BY t.id)
        ) a
        WHERE a.tablespace_name = own.tablespace), ''), true);
    PERFORM timescale_migrate.clone_index(index, chunk, new_name);
    PERFORM set_config('default_tablespace', default_tablespace, true);
    PERFORM timescale_migrate.tie_chunk_index(index, chunk, new_name);
END
$$;

-- Makes a chunk's constraint for a constraint of the hypertable.
CREATE FUNCTION timescale_migrate.create_chunk_constraint(constraint_oid oid, chunk regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    default_tablespace constant text := current_setting('default_tablespace');
    number constant integer := timescale_migrate.chunk_id(chunk);
    root record;
    new_name name;
BEGIN
    SELECT k.conname AS name, CASE WHEN k.contype IN ('p', 'u', 'x') THEN k.conindid::regclass END AS index, s.spcname AS tablespace
    INTO STRICT root
    FROM pg_constraint k
    LEFT JOIN pg_class i ON i.oid = k.conindid AND k.contype IN ('p', 'u')
    LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
    WHERE k.oid = constraint_oid;

    -- The tablespace that TimescaleDB's function would move the index to when it is built.
    PERFORM set_config('default_tablespace', coalesce(root.tablespace, ''), true);
    IF timescale_migrate.has_constraint_rows() THEN
        new_name := format('%s_%s_%s', number, nextval('_timescaledb_catalog.chunk_constraint_name'), root.name);
        INSERT INTO _timescaledb_catalog.chunk_constraint VALUES (number, NULL, new_name, root.name);
        PERFORM _timescaledb_functions.chunk_constraint_add_table_constraint(c)
        FROM _timescaledb_catalog.chunk_constraint c WHERE c.chunk_id = number AND c.constraint_name = new_name;
    ELSE
        new_name := format('%s_%s', number, root.name);
        PERFORM _timescaledb_functions.chunk_constraint_add_table_constraint(number, new_name, root.name);
    END IF;
    PERFORM set_config('default_tablespace', default_tablespace, true);
    IF root.index IS NOT NULL THEN
        PERFORM timescale_migrate.tie_chunk_index(root.index, chunk, new_name);
    END IF;
END
$$;

-- Until 2.27 each constraint of a chunk has a row in chunk_constraint, since 2.28 it is found by its name.
CREATE FUNCTION timescale_migrate.has_constraint_rows()
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('_timescaledb_catalog.chunk_constraint') AND relkind = 'r')
$$;

-- Records a chunk's index as that of the hypertable's index, and marks it for CLUSTER and as replica identity, as the hypertable's is.
CREATE FUNCTION timescale_migrate.tie_chunk_index(index regclass, chunk regclass, name name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    root record;
BEGIN
    SELECT i.relname, x.indisreplident, coalesce((
               -- A chunk may be clustered on another index.
               SELECT t.own ->> 'cluster' FROM timescale_migrate.task_log t WHERE t.relation = chunk AND t.phase = 'copy' LIMIT 1
           ) = i.relname, x.indisclustered) AS indisclustered
    INTO STRICT root
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    WHERE x.indexrelid = index;
    -- Until 2.21 the catalog has a row for each index of a chunk. Since 2.22 TimescaleDB matches them by their definitions.
    IF to_regclass('_timescaledb_catalog.chunk_index') IS NOT NULL THEN
        INSERT INTO _timescaledb_catalog.chunk_index
        SELECT k.id, tie_chunk_index.name, k.hypertable_id, root.relname
        FROM _timescaledb_catalog.chunk k WHERE k.id = timescale_migrate.chunk_id(chunk);
    END IF;
    IF root.indisclustered THEN
        EXECUTE format('ALTER TABLE %s CLUSTER ON %I', chunk, name);
    END IF;
    IF root.indisreplident THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', chunk, name);
    END IF;
END
$$;

-- Gives these chunks, if they still exist, their index for an index of the hypertable, or for the constraint that the index belongs to.
-- Other transactions do the same for other indexes, or add a constraint to the hypertable, which locks it and then all its chunks. To avoid
-- deadlocks, the hypertable is locked first, then the chunks in the order of their OIDs, each at once with the strongest lock needed.
CREATE FUNCTION timescale_migrate.create_on_chunks(index regclass, chunks oid[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- As in create_chunks_by_catalog().
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    restoring constant text := current_setting('timescaledb.restoring');
    constraint_oid constant oid := (
        SELECT k.oid FROM pg_index x JOIN pg_constraint k ON k.conrelid = x.indrelid AND k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x')
        WHERE x.indexrelid = index);
    mode constant text := (
        SELECT CASE WHEN constraint_oid IS NOT NULL OR x.indisclustered OR x.indisreplident THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE' END
        FROM pg_index x WHERE x.indexrelid = index);
    chunk regclass;
BEGIN
    PERFORM set_config('timescaledb.restoring', 'on', true);
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', (SELECT x.indrelid::regclass FROM pg_index x WHERE x.indexrelid = index));
    FOR chunk IN SELECT c.oid FROM unnest(chunks) n(oid) JOIN pg_class c ON c.oid = n.oid ORDER BY c.oid LOOP
        EXECUTE format('LOCK TABLE ONLY %s IN %s MODE', chunk, mode);
        IF constraint_oid IS NULL THEN
            PERFORM timescale_migrate.create_chunk_index(index, chunk);
        ELSE
            PERFORM timescale_migrate.create_chunk_constraint(constraint_oid, chunk);
        END IF;
    END LOOP;
    PERFORM set_config('timescaledb.restoring', restoring, true);
END
$$;
