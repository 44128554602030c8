-- Creating chunks with exactly the slices that they have on the source.
-- Run at CREATE EXTENSION; create_chunks() is called on the target by the workers.
-- TimescaleDB 2.19 and later, any edition.
--
-- Where the Community edition is in use, its create_chunk() does the work. The Apache edition has no function for it; and in a schema of the
-- user's own, create_chunk() makes the table as the hypertable's owner, whose privileges on that schema and on tablespaces are not restored
-- yet, or were taken away since. There the chunk is made as pg_restore makes it: TimescaleDB's hooks are off for the duration
-- (`timescaledb.restoring`), the table is created as a child of the hypertable with a CHECK constraint for each slice, and the catalog rows
-- for it are inserted. The functions of chunk_parts.sql copy its other properties. Most of the time is spent on planning statements, so
-- each statement makes all chunks of the call.

-- Makes chunks of a hypertable with exactly these slices and returns them in their order. Those that exist are returned as they are. The
-- hypertable stays locked until the transaction's end.
--
--   hypertable  the hypertable
--   chunks      an array of {"slices": {...}, "tablespace": ..., "creation_time": ...}
--     slices         {"<column of the dimension>": [start, end], ...} for every dimension, in TimescaleDB's internal units: microseconds
--                    since 1970 for times, the value itself for integers, the hash for closed dimensions; the limits of int64 stand for no
--                    bound
--     tablespace     the chunk's tablespace; null is the database's own
--     creation_time  the time that retention and compression by creation time use; null is now
CREATE FUNCTION timescale_migrate.create_chunks(hypertable regclass, chunks jsonb)
RETURNS regclass[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    default_tablespace constant text := current_setting('default_tablespace');
    root record;
    wanted record;
    new record;
    made regclass[];
    created integer[] := '{}';
    times timestamptz[] := '{}';
BEGIN
    SELECT h.id, h.associated_schema_name AS chunk_schema INTO root
    FROM _timescaledb_catalog.hypertable h
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    WHERE c.oid = hypertable;
    IF NOT FOUND THEN
        RAISE EXCEPTION '"%" is not a hypertable', hypertable USING ERRCODE = 'wrong_object_type';
    END IF;
    -- One transaction at a time, as TimescaleDB itself does it. Without ONLY, all chunks would be locked as well.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', hypertable);
    -- TimescaleDB looks up the operators that bound a slice by name.
    PERFORM set_config('search_path', concat_ws(', ', 'pg_catalog', (
        SELECT string_agg(DISTINCT quote_ident(s), ', ')
        FROM _timescaledb_catalog.dimension d
        CROSS JOIN LATERAL timescale_migrate.comparison(d.id) c
        CROSS JOIN LATERAL unnest(c.schemas) s
        WHERE d.hypertable_id = root.id), 'pg_temp'), true);

    IF current_setting('timescaledb.license') = 'timescale' AND root.chunk_schema = '_timescaledb_internal' THEN
        FOR wanted IN
            SELECT c.slices, c.tablespace, c.creation_time
            FROM ROWS FROM (jsonb_to_recordset(chunks) AS (slices jsonb, tablespace name, creation_time timestamptz))
                 WITH ORDINALITY c(slices, tablespace, creation_time, number)
            ORDER BY c.number
        LOOP
            PERFORM set_config('default_tablespace', coalesce(wanted.tablespace, ''), true);
            SELECT c.chunk_id, pg_catalog.format('%I.%I', c.schema_name, c.table_name)::regclass AS chunk, c.created INTO STRICT new
            FROM _timescaledb_functions.create_chunk(hypertable, wanted.slices) c;
            IF new.created THEN
                IF wanted.creation_time IS NOT NULL THEN
                    created := created || new.chunk_id;
                    times := times || wanted.creation_time;
                END IF;
                IF wanted.tablespace IS NOT NULL OR (SELECT c.reltablespace <> 0 FROM pg_catalog.pg_class c WHERE c.oid = new.chunk) THEN
                    PERFORM timescale_migrate.set_tablespace(new.chunk, wanted.tablespace);
                END IF;
            END IF;
            made := made || new.chunk;
        END LOOP;
        UPDATE _timescaledb_catalog.chunk k SET creation_time = u.time FROM unnest(created, times) u(id, time) WHERE k.id = u.id;
    ELSE
        made := timescale_migrate.create_chunks_by_catalog(hypertable, chunks);
    END IF;

    PERFORM set_config('default_tablespace', default_tablespace, true);
    RETURN made;
END
$$;

-- Makes chunks without TimescaleDB's help. The hypertable is locked by the caller.
CREATE FUNCTION timescale_migrate.create_chunks_by_catalog(hypertable regclass, chunks jsonb)
RETURNS regclass[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Plans are made while the catalogs are small and without statistics, and kept while they grow: by index and in the order written.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET join_collapse_limit = 1
AS $$
DECLARE
    has_relid constant boolean := EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = '_timescaledb_catalog.chunk'::regclass AND attname = 'relid' AND NOT attisdropped);
    slices_are_shared constant boolean := NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = '_timescaledb_catalog.dimension_slice'::regclass AND attname = 'chunk_id' AND NOT attisdropped);
    restoring constant text := current_setting('timescaledb.restoring');
    root record;
    columns name[];
    w record;
    made regclass[] := array_fill(NULL::regclass, ARRAY[jsonb_array_length(chunks)]);
    -- For each chunk to be made: its place in the argument and its id.
    numbers integer[] := '{}';
    ids integer[];
    -- For each slice of these chunks: the chunk's place, the dimension, the bounds and the id.
    slice_numbers integer[];
    slice_dimensions integer[];
    starts bigint[];
    ends bigint[];
    slice_ids integer[];
    changes text;
    has_own_privileges boolean;
    has_dependents boolean;
BEGIN
    SELECT h.id, h.associated_schema_name AS schema, h.associated_table_prefix AS prefix, c.relpersistence, c.relowner, c.relacl, a.amname,
           (SELECT string_agg(format('%s = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')
            FROM unnest(array_cat(c.reloptions, ARRAY(
                SELECT 'toast.' || o FROM pg_catalog.pg_class t, unnest(t.reloptions) o WHERE t.oid = c.reltoastrelid))) o) AS options
    INTO STRICT root
    FROM _timescaledb_catalog.hypertable h
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    JOIN pg_catalog.pg_am a ON a.oid = c.relam
    WHERE c.oid = hypertable;

    SELECT array_agg(d.column_name ORDER BY d.column_name) INTO columns
    FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = root.id;

    FOR w IN
        SELECT c.number::integer, c.slices, other.chunk_id AS other, other.same,
               ARRAY(SELECT s.name::name FROM jsonb_each(c.slices) s(name, bounds)
                     WHERE jsonb_array_length(s.bounds) = 2 ORDER BY s.name::name) AS columns
        FROM ROWS FROM (jsonb_to_recordset(chunks) AS (slices jsonb)) WITH ORDINALITY c(slices, number)
        LEFT JOIN LATERAL (
            SELECT cc.chunk_id,
                   bool_and(s.range_start < (c.slices->d.column_name->>1)::bigint
                            AND s.range_end > (c.slices->d.column_name->>0)::bigint) AS overlaps,
                   bool_and(s.range_start = (c.slices->d.column_name->>0)::bigint
                            AND s.range_end = (c.slices->d.column_name->>1)::bigint) AS same
            FROM (
                -- The range in the first dimension selects very few rows, so that the catalog need not be read as a whole.
                SELECT fc.chunk_id
                FROM (SELECT min(d.id) AS id FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = root.id) first
                JOIN _timescaledb_catalog.dimension d ON d.id = first.id
                JOIN _timescaledb_catalog.dimension_slice s ON s.dimension_id = d.id
                 AND s.range_start < (c.slices->d.column_name->>1)::bigint AND s.range_end > (c.slices->d.column_name->>0)::bigint
                JOIN _timescaledb_catalog.chunk_constraint fc ON fc.dimension_slice_id = s.id
            ) near
            JOIN _timescaledb_catalog.chunk_constraint cc ON cc.chunk_id = near.chunk_id
            JOIN _timescaledb_catalog.dimension_slice s ON s.id = cc.dimension_slice_id
            JOIN _timescaledb_catalog.dimension d ON d.id = s.dimension_id
            GROUP BY cc.chunk_id
        ) other ON other.overlaps
        ORDER BY c.number
    LOOP
        IF w.columns IS DISTINCT FROM columns THEN
            RAISE EXCEPTION 'slices % do not match the dimensions of "%"', w.slices, hypertable
                USING ERRCODE = 'invalid_parameter_value';
        ELSIF w.same THEN
            made[w.number] := (
                SELECT coalesce(to_jsonb(k)->>'relid', format('%I.%I', to_jsonb(k)->>'schema_name', to_jsonb(k)->>'table_name'))::regclass
                FROM _timescaledb_catalog.chunk k WHERE k.id = w.other);
        ELSIF w.other IS NOT NULL THEN
            RAISE EXCEPTION 'slices % of "%" overlap those of chunk %', w.slices, hypertable, w.other
                USING ERRCODE = 'invalid_parameter_value';
        ELSE
            numbers := numbers || w.number;
        END IF;
    END LOOP;
    IF numbers = '{}' THEN
        RETURN made;
    END IF;
    FOR w IN
        SELECT a.n FROM unnest(numbers) a(n) JOIN unnest(numbers) b(n) ON a.n < b.n
        WHERE (SELECT bool_and((chunks->(a.n - 1)->'slices'->c->>0)::bigint < (chunks->(b.n - 1)->'slices'->c->>1)::bigint
                               AND (chunks->(b.n - 1)->'slices'->c->>0)::bigint < (chunks->(a.n - 1)->'slices'->c->>1)::bigint)
               FROM unnest(columns::text[]) c)
    LOOP
        RAISE EXCEPTION 'slices % of "%" overlap those of another chunk', chunks->(w.n - 1)->'slices', hypertable
            USING ERRCODE = 'invalid_parameter_value';
    END LOOP;

    -- Slices that several chunks share exist once, with their bounds unique.
    SELECT array_agg(n ORDER BY n, d.id), array_agg(d.id ORDER BY n, d.id),
           array_agg((c.slices->d.column_name->>0)::bigint ORDER BY n, d.id), array_agg((c.slices->d.column_name->>1)::bigint ORDER BY n, d.id)
    INTO slice_numbers, slice_dimensions, starts, ends
    FROM unnest(numbers) n
    CROSS JOIN LATERAL (SELECT chunks->(n - 1)->'slices' AS slices) c
    JOIN _timescaledb_catalog.dimension d ON d.hypertable_id = root.id;
    IF slices_are_shared THEN
        INSERT INTO _timescaledb_catalog.dimension_slice (id, dimension_id, range_start, range_end)
        SELECT nextval('_timescaledb_catalog.dimension_slice_id_seq'), u.dimension, u.range_start, u.range_end
        FROM (SELECT DISTINCT * FROM unnest(slice_dimensions, starts, ends) x(dimension, range_start, range_end)) u
        WHERE NOT EXISTS (SELECT FROM _timescaledb_catalog.dimension_slice s
                          WHERE s.dimension_id = u.dimension AND s.range_start = u.range_start AND s.range_end = u.range_end);
        SELECT array_agg(o.id ORDER BY o.number) INTO slice_ids
        FROM (
            SELECT s.id, u.number
            FROM unnest(slice_dimensions, starts, ends) WITH ORDINALITY u(dimension, range_start, range_end, number)
            JOIN _timescaledb_catalog.dimension_slice s
              ON s.dimension_id = u.dimension AND s.range_start = u.range_start AND s.range_end = u.range_end
            FOR KEY SHARE OF s
        ) o;
    ELSE
        slice_ids := ARRAY(SELECT nextval('_timescaledb_catalog.dimension_slice_id_seq')::integer FROM unnest(slice_numbers));
    END IF;
    ids := ARRAY(SELECT nextval('_timescaledb_catalog.chunk_id_seq')::integer FROM unnest(numbers));

    PERFORM set_config('timescaledb.restoring', 'on', true);

    FOR w IN
        WITH comparisons AS MATERIALIZED (
            SELECT d.id AS dimension, p.compared, p.type, p.at_least, p.below
            FROM _timescaledb_catalog.dimension d CROSS JOIN LATERAL timescale_migrate.comparison(d.id) p
            WHERE d.hypertable_id = root.id
        ), checks AS (
            SELECT s.number, string_agg(format('CONSTRAINT constraint_%s CHECK (%s)', s.id, s.condition), ', ' ORDER BY s.dimension) AS list
            FROM (
                SELECT u.number, u.id, u.dimension, concat_ws(' AND ',
                    CASE WHEN u.range_start <> -9223372036854775808
                         THEN format('%s %s %L', p.compared, p.at_least, timescale_migrate.bound(u.range_start, p.type)) END,
                    CASE WHEN u.range_end <> 9223372036854775807
                         THEN format('%s %s %L', p.compared, p.below, timescale_migrate.bound(u.range_end, p.type)) END) AS condition
                FROM unnest(slice_numbers, slice_ids, slice_dimensions, starts, ends) u(number, id, dimension, range_start, range_end)
                JOIN comparisons p ON p.dimension = u.dimension
            ) s
            WHERE s.condition <> ''
            GROUP BY s.number
        )
        SELECT u.number, format('%s_%s_chunk', root.prefix, u.id)::name AS name, chunks->(u.number - 1)->>'tablespace' AS tablespace, k.list AS checks
        FROM unnest(numbers, ids) u(number, id)
        LEFT JOIN checks k ON k.number = u.number
        ORDER BY u.number
    LOOP
        PERFORM set_config('default_tablespace', coalesce(w.tablespace, ''), true);
        EXECUTE format('CREATE %sTABLE %I.%I (%s) INHERITS (%s) USING %I%s',
                       CASE WHEN root.relpersistence = 'u' THEN 'UNLOGGED ' END, root.schema, w.name, w.checks, hypertable, root.amname,
                       CASE WHEN root.options IS NOT NULL THEN format(' WITH (%s)', root.options) END);
        made[w.number] := format('%I.%I', root.schema, w.name)::regclass;
    END LOOP;

    IF has_relid THEN
        INSERT INTO _timescaledb_catalog.chunk (id, relid, hypertable_id, creation_time)
        SELECT u.id, made[u.number], root.id, coalesce((chunks->(u.number - 1)->>'creation_time')::timestamptz, now())
        FROM unnest(numbers, ids) u(number, id);
    ELSE
        INSERT INTO _timescaledb_catalog.chunk (id, hypertable_id, schema_name, table_name, creation_time)
        SELECT u.id, root.id, root.schema, format('%s_%s_chunk', root.prefix, u.id),
               coalesce((chunks->(u.number - 1)->>'creation_time')::timestamptz, now())
        FROM unnest(numbers, ids) u(number, id);
    END IF;
    IF slices_are_shared THEN
        INSERT INTO _timescaledb_catalog.chunk_constraint (chunk_id, dimension_slice_id, constraint_name)
        SELECT u.id, s.id, 'constraint_' || s.id
        FROM unnest(numbers, ids) u(number, id) JOIN unnest(slice_numbers, slice_ids) s(number, id) ON s.number = u.number;
    ELSE
        INSERT INTO _timescaledb_catalog.dimension_slice (id, chunk_id, dimension_id, range_start, range_end)
        SELECT s.id, u.id, s.dimension, s.range_start, s.range_end
        FROM unnest(numbers, ids) u(number, id)
        JOIN unnest(slice_numbers, slice_ids, slice_dimensions, starts, ends) s(number, id, dimension, range_start, range_end)
          ON s.number = u.number;
    END IF;

    SELECT string_agg(format('ALTER %I %s', a.attname, o.change), ', ') INTO changes
    FROM pg_catalog.pg_attribute a
    CROSS JOIN LATERAL (
        SELECT format('SET STATISTICS %s', a.attstattarget) AS change WHERE a.attstattarget >= 0
        UNION ALL
        SELECT format('SET (%s)', string_agg(format('%I = %L', split_part(x, '=', 1), substr(x, strpos(x, '=') + 1)), ', '))
        FROM unnest(a.attoptions) x WHERE x NOT LIKE 'pg\_attver=%' HAVING count(*) > 0
    ) o
    WHERE a.attrelid = hypertable AND a.attnum > 0 AND NOT a.attisdropped;
    changes := nullif(concat_ws(', ', changes,
        CASE WHEN pg_get_userbyid(root.relowner) <> current_user THEN format('OWNER TO %I', pg_get_userbyid(root.relowner)) END), '');
    has_own_privileges := root.relacl IS NOT NULL OR EXISTS (SELECT FROM pg_catalog.pg_default_acl);
    has_dependents := timescale_migrate.has_dependents(hypertable);
    FOR w IN SELECT made[n] AS chunk FROM unnest(numbers) n LOOP
        IF changes IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s %s', w.chunk, changes);
        END IF;
        IF has_own_privileges THEN
            PERFORM timescale_migrate.copy_privileges(hypertable, w.chunk);
        END IF;
        IF has_dependents THEN
            PERFORM timescale_migrate.copy_dependents(hypertable, w.chunk);
        END IF;
    END LOOP;

    PERFORM set_config('timescaledb.restoring', restoring, true);
    RETURN made;
END
$$;
