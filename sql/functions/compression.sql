-- Making compressed chunks of the rows of their compressed relations, without decompressing anything.
-- Run at CREATE EXTENSION; called on the target by the coordinator and its workers. TimescaleDB 2.19 and later, Community edition.
--
-- The compressed relation is made as an ordinary table, filled by COPY, and then attached to the chunk. TimescaleDB's own function for that,
-- create_compressed_chunk(), gives the chunk the hypertable's settings; those that it was compressed with are set afterwards. Since 2.29 it
-- only inserts rows into the catalog, and may later require a layout that older versions do not have; so these rows are inserted here.

-- Enables compression on a hypertable with exactly these settings, an object `settings` of inventory/compression.sql. Can be repeated.
--
-- The settings `late` of the same object are set at the end of a run. One makes TimescaleDB merge a chunk into the one before when it is
-- compressed; the other makes it compress rows as they are inserted.
CREATE FUNCTION timescale_migrate.enable_compression(hypertable regclass, settings jsonb, late jsonb DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Suppresses TimescaleDB's advice on the settings, which are the source's.
SET client_min_messages = error
AS $$
DECLARE
    wanted record;
    options text := 'timescaledb.compress';
BEGIN
    wanted := jsonb_populate_record(NULL::_timescaledb_catalog.compression_settings, settings);
    IF wanted.segmentby <> '{}' THEN
        options := options || format(', timescaledb.compress_segmentby = %L',
                                     (SELECT string_agg(quote_ident(s), ',' ORDER BY n) FROM unnest(wanted.segmentby) WITH ORDINALITY x(s, n)));
    END IF;
    IF wanted.orderby <> '{}' THEN
        options := options || format(', timescaledb.compress_orderby = %L', (
            SELECT string_agg(quote_ident(o) || CASE WHEN d THEN ' DESC' ELSE ' ASC' END || CASE WHEN f THEN ' NULLS FIRST' ELSE ' NULLS LAST' END,
                              ',' ORDER BY n)
            FROM unnest(wanted.orderby, wanted.orderby_desc, wanted.orderby_nullsfirst) WITH ORDINALITY x(o, d, f, n)));
    END IF;
    IF late ? 'compress_chunk_time_interval' THEN
        -- An interval even where the dimension is of integers.
        options := options || format(', timescaledb.compress_chunk_time_interval = %L', (late->>'compress_chunk_time_interval') || ' microseconds');
    END IF;
    IF late ? 'direct_compress' THEN
        options := options || ', timescaledb.direct_compress';
    END IF;
    EXECUTE format('ALTER TABLE %s SET (%s)', hypertable, options);

    -- Since 2.22 TimescaleDB can choose settings for each chunk. Before, the settings that it chooses now are kept.
    IF wanted.orderby IS NOT NULL OR timescale_migrate.has_sparse_index_settings() THEN
        PERFORM timescale_migrate.set_compression_settings(hypertable, settings);
    END IF;
END
$$;

CREATE FUNCTION timescale_migrate.has_sparse_index_settings()
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = to_regclass('_timescaledb_catalog.compression_settings') AND attname = 'index' AND NOT attisdropped)
$$;

-- Overwrites the settings of a hypertable or of a chunk. They are read whenever they are needed, and never kept in memory.
CREATE FUNCTION timescale_migrate.set_compression_settings(relation regclass, settings jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    old record;
    new record;
    index jsonb;
BEGIN
    DELETE FROM _timescaledb_catalog.compression_settings s WHERE s.relid = relation
    RETURNING s AS settings, to_jsonb(s)->>'compress_relid' AS compressed, to_jsonb(s)->'index' AS index INTO STRICT old;
    IF old.compressed IS NOT NULL THEN
        index := timescale_migrate.sparse_indexes_of_chunk(settings, relation, old.compressed::regclass);
    -- Settings that a hypertable's user has not chosen, TimescaleDB has just chosen as this version does.
    ELSIF settings->'index' @? '$[*] ? (@.source == "config")' THEN
        SELECT jsonb_agg(e.entry ORDER BY e.position) INTO index
        FROM jsonb_array_elements(settings->'index') WITH ORDINALITY e(entry, position)
        WHERE e.entry->>'type' <> 'firstlast' OR old.index @> '[{"type": "firstlast"}]';
    ELSIF jsonb_typeof(settings->'orderby') = 'array' THEN
        index := old.index;
    END IF;
    IF settings->'segmentby' = '[]' AND NOT timescale_migrate.has_sparse_index_settings() THEN
        -- Before 2.22 NULL means no segmentby; since then it means that TimescaleDB chooses one for each chunk.
        settings := settings || '{"segmentby": null}';
    END IF;
    new := jsonb_populate_record(old.settings, settings - 'relid' - 'compress_relid' || jsonb_build_object('index', index));
    INSERT INTO _timescaledb_catalog.compression_settings SELECT new.*;
END
$$;

-- The sparse indexes of a chunk, which are metadata columns of its compressed relation. Since 2.22 they are listed. For older versions
-- they are derived from the columns, as by TimescaleDB's own update. One that has no columns on the target is not listed.
CREATE FUNCTION timescale_migrate.sparse_indexes_of_chunk(settings jsonb, chunk regclass, compressed regclass)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    listed constant jsonb := nullif(settings->'index', 'null');
BEGIN
    IF listed IS NOT NULL THEN
        RETURN (
            SELECT jsonb_agg(e.entry ORDER BY e.position)
            FROM jsonb_array_elements(listed) WITH ORDINALITY e(entry, position)
            WHERE e.entry->>'type' = 'minmax'
               OR EXISTS (
                   SELECT FROM pg_attribute m
                   WHERE m.attrelid = compressed AND m.attnum > 0 AND NOT m.attisdropped
                     AND m.attname LIKE CASE e.entry->>'type' WHEN 'bloom' THEN '\_ts\_meta\_v2\_bloom%'
                                                              WHEN 'firstlast' THEN '\_ts\_meta\_v2\_first\_%' END));
    END IF;
    RETURN (
        SELECT jsonb_agg(jsonb_build_object('type', 'minmax', 'source', x.source, 'column', x.name) ORDER BY x.source, x.position)
        FROM (
            SELECT 'default' AS source, m.attnum AS position, a.attname::text AS name
            FROM pg_attribute a
            -- A name of more than 39 bytes is truncated, and its hash is added.
            JOIN pg_attribute m ON m.attname = '_ts_meta_v2_min_'
                || CASE WHEN octet_length(a.attname) > 39 THEN left(md5(a.attname), 4) || '_' ELSE '' END || left(a.attname, 39)
            WHERE a.attrelid = chunk AND a.attnum > 0 AND NOT a.attisdropped
              AND m.attrelid = compressed AND m.attnum > 0 AND NOT m.attisdropped
            UNION ALL
            SELECT 'orderby', o.position, o.name
            FROM jsonb_array_elements_text(nullif(settings->'orderby', 'null')) WITH ORDINALITY o(name, position)
        ) x);
END
$$;

-- Makes the table for the rows of a chunk's compressed relation and returns it. `layout` is the chunk's object of inventory/compressed_chunks.sql,
-- with the columns that are copied.
CREATE FUNCTION timescale_migrate.create_compressed_relation(chunk regclass, layout jsonb)
RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    default_tablespace constant text := current_setting('default_tablespace');
    place record;
    compressed regclass;
    changes text[];
BEGIN
    -- Until 2.28 a compressed relation is a chunk, and its schema always this one.
    SELECT n.nspname AS schema, c.relpersistence, s.spcname AS tablespace, c.relowner, i.inhparent AS hypertable,
           timescale_migrate.relation_name(n.oid, c.relname, 'compressed', c.oid::text) AS name
    INTO STRICT place
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = CASE WHEN timescale_migrate.has_chunk_relid() THEN c.relnamespace
                                        ELSE to_regnamespace('_timescaledb_internal') END
    JOIN pg_inherits i ON i.inhrelid = c.oid
    LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
    WHERE c.oid = chunk;

    PERFORM set_config('default_tablespace', coalesce(place.tablespace, ''), true);
    EXECUTE format('CREATE %sTABLE %I.%I (%s)%s', CASE WHEN place.relpersistence = 'u' THEN 'UNLOGGED ' END, place.schema, place.name,
        (SELECT string_agg(format('%I %s', c->>'name', c->>'type') || coalesce(' COLLATE ' || (c->>'collation'), ''), ', ' ORDER BY n)
         FROM jsonb_array_elements(layout->'columns') WITH ORDINALITY x(c, n)),
        (SELECT format(' WITH (%s)', string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', '))
         FROM jsonb_array_elements_text(layout->'reloptions') o HAVING count(*) > 0));
    PERFORM set_config('default_tablespace', default_tablespace, true);
    compressed := format('%I.%I', place.schema, place.name)::regclass;

    SELECT array_agg(format('ALTER %I SET %s', c->>'name', x.change)) INTO changes
    FROM jsonb_array_elements(layout->'columns') c
    CROSS JOIN LATERAL (
        SELECT 'STORAGE ' || (c->>'storage') AS change WHERE c->>'storage' IS NOT NULL
        UNION ALL
        SELECT 'STATISTICS ' || (c->>'statistics') WHERE c->>'statistics' IS NOT NULL
    ) x;
    IF pg_get_userbyid(place.relowner) <> current_user THEN
        changes := changes || format('OWNER TO %I', pg_get_userbyid(place.relowner));
    END IF;
    IF changes IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s %s', compressed, array_to_string(changes, ', '));
    END IF;
    PERFORM timescale_migrate.copy_privileges(place.hypertable, compressed);
    RETURN compressed;
END
$$;

-- Since 2.29 chunks are known by their OID, and a compressed relation is no chunk.
CREATE FUNCTION timescale_migrate.has_chunk_relid()
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = to_regclass('_timescaledb_catalog.chunk') AND attname = 'relid' AND NOT attisdropped)
$$;

-- Makes a chunk a compressed chunk with the batches of this table. `spec` is the chunk's object of inventory/compressed_chunks.sql. The chunk's
-- own rows, if the source had any, are in it already. The hypertable has compression enabled. Can be repeated.
CREATE FUNCTION timescale_migrate.attach_compressed(chunk regclass, compressed regclass, spec jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = error
AS $$
DECLARE
    sizes constant jsonb := (spec->>'sizes')::jsonb;
    number constant integer := timescale_migrate.chunk_id(chunk);
BEGIN
    PERFORM timescale_migrate.create_compressed_indexes(compressed, spec);

    EXECUTE format('LOCK TABLE ONLY %s IN SHARE MODE', chunk);
    IF NOT EXISTS (SELECT FROM _timescaledb_catalog.compression_settings s WHERE s.relid = chunk AND s.compress_relid = compressed) THEN
        IF timescale_migrate.has_chunk_relid() THEN
            INSERT INTO _timescaledb_catalog.compression_settings (relid, compress_relid) VALUES (chunk, compressed);
        ELSE
            PERFORM _timescaledb_functions.create_compressed_chunk(chunk, compressed, 0, 0, 0, 0, 0, 0, 0, 0);
        END IF;
    END IF;
    PERFORM timescale_migrate.set_compression_settings(chunk, spec->'settings');
    PERFORM timescale_migrate.check_compressed_columns(chunk, compressed);

    DELETE FROM _timescaledb_catalog.compression_chunk_size s WHERE s.chunk_id = number;
    IF sizes IS NOT NULL THEN
        INSERT INTO _timescaledb_catalog.compression_chunk_size
        SELECT (jsonb_populate_record(NULL::_timescaledb_catalog.compression_chunk_size,
                    '{"numrows_frozen_immediately": 0}' || jsonb_strip_nulls(sizes)
                    || jsonb_build_object('chunk_id', k.id, 'compressed_chunk_id', coalesce((to_jsonb(k)->>'compressed_chunk_id')::integer, 0)))).*
        FROM _timescaledb_catalog.chunk k WHERE k.id = number;
    END IF;
    PERFORM timescale_migrate.set_chunk_status(chunk, (spec->>'status')::integer);
END
$$;

-- TimescaleDB derives the type of each column of a compressed relation from its name and the chunk's settings, and does not check it: a
-- value of another type would be read as an address.
CREATE FUNCTION timescale_migrate.check_compressed_columns(chunk regclass, compressed regclass)
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wrong record;
BEGIN
    SELECT m.attname AS name, m.atttypid::regtype AS type, x.type AS expected INTO wrong
    FROM _timescaledb_catalog.compression_settings s
    JOIN pg_attribute m ON m.attrelid = compressed AND m.attnum > 0 AND NOT m.attisdropped
    LEFT JOIN pg_attribute a ON a.attrelid = chunk AND a.attnum > 0 AND NOT a.attisdropped AND (
        a.attname = m.attname OR a.attname = s.orderby[substring(m.attname FROM '^_ts_meta_(?:min|max)_(\d{1,3})$')::integer]
        OR substring(m.attname FROM '^_ts_meta_v2_(?:min|max|first|last)_(.*)$')
           = CASE WHEN octet_length(a.attname) > 39 THEN left(md5(a.attname), 4) || '_' ELSE '' END || left(a.attname, 39))
    CROSS JOIN LATERAL (SELECT CASE
        WHEN m.attname IN ('_ts_meta_count', '_ts_meta_sequence_num') THEN 'integer'::regtype
        WHEN m.attname LIKE '\_ts\_meta\_v2\_bloom%' THEN to_regtype('_timescaledb_internal.bloom1')
        -- The metadata of a column that the chunk does not have is never read.
        WHEN m.attname LIKE '\_ts\_meta\_%' THEN coalesce(a.atttypid, m.atttypid)
        WHEN m.attname = ANY (s.segmentby) THEN a.atttypid
        ELSE '_timescaledb_internal.compressed_data'::regtype END AS type) x
    WHERE s.relid = chunk AND m.atttypid IS DISTINCT FROM x.type
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" of the compressed rows of % has type %, not %', wrong.name, chunk, wrong.type, wrong.expected
            USING ERRCODE = 'datatype_mismatch';
    END IF;
END
$$;

CREATE FUNCTION timescale_migrate.chunk_id(chunk regclass)
RETURNS integer
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF timescale_migrate.has_chunk_relid() THEN
        RETURN (SELECT k.id FROM _timescaledb_catalog.chunk k WHERE k.relid = chunk);
    END IF;
    RETURN (SELECT k.id
            FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN _timescaledb_catalog.chunk k ON k.schema_name = n.nspname AND k.table_name = c.relname
            WHERE c.oid = chunk);
END
$$;

-- The four flags whose meaning has never changed: compressed, unordered, frozen, partial.
CREATE FUNCTION timescale_migrate.set_chunk_status(chunk regclass, status integer)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE _timescaledb_catalog.chunk k
    SET status = (k.status & ~15) | (set_chunk_status.status & 15)
    WHERE k.id = timescale_migrate.chunk_id(chunk);
END
$$;

-- Gives a compressed relation the indexes that it has on the source. One on columns that were not copied is made as TimescaleDB would make it
-- without them.
CREATE FUNCTION timescale_migrate.create_compressed_indexes(compressed regclass, spec jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    default_tablespace constant text := current_setting('default_tablespace');
    index jsonb;
    definition text;
    new_name name;
BEGIN
    IF EXISTS (SELECT FROM pg_index i WHERE i.indrelid = compressed) THEN
        RETURN;
    END IF;
    PERFORM set_config('default_tablespace', coalesce((
        SELECT s.spcname FROM pg_class c JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE c.oid = compressed), ''), true);
    FOR index IN SELECT i FROM jsonb_array_elements(spec->'indexes') i LOOP
        definition := index->>'definition';
        IF EXISTS (
            SELECT FROM jsonb_array_elements_text(index->'columns') c
            WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = compressed AND a.attname = c AND NOT a.attisdropped)
        ) THEN
            SELECT format('USING btree (%s)', string_agg(c.item, ', ' ORDER BY c.part, c.position)) INTO definition
            FROM (
                SELECT 1 AS part, s.n AS position, quote_ident(s.c) AS item
                FROM jsonb_array_elements_text(nullif(spec #> '{settings,segmentby}', 'null')) WITH ORDINALITY s(c, n)
                UNION ALL
                SELECT 2, 2 * d.n + x.n, format('_ts_meta_%s_%s%s NULLS %s', x.name, d.n, CASE WHEN d.c::boolean THEN ' DESC' END,
                                                CASE WHEN (spec #>> ARRAY['settings', 'orderby_nullsfirst', (d.n - 1)::text])::boolean THEN 'FIRST' ELSE 'LAST' END)
                FROM jsonb_array_elements_text(nullif(spec #> '{settings,orderby_desc}', 'null')) WITH ORDINALITY d(c, n)
                CROSS JOIN (VALUES (1, 'min'), (2, 'max')) x(n, name)
            ) c;
        END IF;
        -- PostgreSQL would choose a name that may equal another worker's after truncation.
        SELECT timescale_migrate.relation_name(c.relnamespace, c.relname, 'idx', c.oid::text)
        INTO STRICT new_name
        FROM pg_class c WHERE c.oid = compressed;
        PERFORM timescale_migrate.execute_as_written(format('CREATE INDEX %I ON %s %s', new_name, compressed, definition),
                                                     (SELECT c.relowner FROM pg_class c WHERE c.oid = compressed));
    END LOOP;
    PERFORM set_config('default_tablespace', default_tablespace, true);
END
$$;

-- Compresses a chunk that was filled with rows, with the settings that it was compressed with on the source; `spec` as in attach_compressed().
-- It is used if the compressed relation itself cannot be copied. A chunk that was compressed in part is then compressed as a whole.
CREATE FUNCTION timescale_migrate.compress_rows(chunk regclass, spec jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = error
AS $$
DECLARE
    api constant name := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb');
    hypertable constant regclass := (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = chunk);
    own constant jsonb := (spec->'settings') - 'index';
    common record;
BEGIN
    IF timescale_migrate.chunk_status(chunk) & 1 = 0 THEN
        IF timescale_migrate.has_chunk_relid() THEN
            -- The compressed relation is named after the chunk, and its index by PostgreSQL. Truncation may make two such names equal.
            PERFORM timescale_migrate.lock_name(timescale_migrate.object_name(c.relname, repeat('x', 63), 'idx')::text)
            FROM pg_class c WHERE c.oid = chunk;
        END IF;
        -- There may be no column to order by.
        IF 'array' IN (jsonb_typeof(own->'orderby'), jsonb_typeof(own->'segmentby')) AND NOT EXISTS (
            SELECT FROM _timescaledb_catalog.compression_settings s
            WHERE s.relid = hypertable AND to_jsonb(s) - 'relid' - 'compress_relid' - 'index' = own)
        THEN
            -- compress_chunk() uses the hypertable's settings, which are changed for this chunk and then restored; so one chunk at a time.
            EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', hypertable);
            SELECT s AS settings INTO STRICT common FROM _timescaledb_catalog.compression_settings s WHERE s.relid = hypertable;
            PERFORM timescale_migrate.set_compression_settings(hypertable, own);
            EXECUTE format('SELECT %I.compress_chunk($1)', api) USING chunk;
            DELETE FROM _timescaledb_catalog.compression_settings s WHERE s.relid = hypertable;
            INSERT INTO _timescaledb_catalog.compression_settings SELECT (common.settings).*;
        ELSE
            EXECUTE format('SELECT %I.compress_chunk($1)', api) USING chunk;
        END IF;
    END IF;
    PERFORM timescale_migrate.set_chunk_status(chunk, timescale_migrate.chunk_status(chunk) | ((spec->>'status')::integer & 4));
END
$$;

CREATE FUNCTION timescale_migrate.chunk_status(chunk regclass)
RETURNS integer
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT k.status FROM _timescaledb_catalog.chunk k WHERE k.id = timescale_migrate.chunk_id(chunk));
END
$$;
