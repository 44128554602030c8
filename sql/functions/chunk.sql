-- Creating chunks with exactly the slices that they have on the source.
-- Run at CREATE EXTENSION; create_chunk() is called on the target by the coordinator, one chunk per transaction.
-- TimescaleDB 2.19 and later, any edition.
--
-- Where the Community edition is in use, its create_chunk() does the work. The Apache edition has no function for it; and in a schema of the
-- user's own, create_chunk() makes the table as the hypertable's owner, whose privileges on that schema and on tablespaces are not restored
-- yet, or were taken away since. There the chunk is made as pg_restore makes it: TimescaleDB's hooks are off for the duration
-- (`timescaledb.restoring`), the table is created as a child of the hypertable with a CHECK constraint for each slice, and the catalog rows
-- that say so are inserted. What a chunk has besides is copied by chunk_parts.sql.

-- Makes the chunk of a hypertable with exactly these slices and returns it. If it exists, it is returned as it is.
--
--   hypertable     the hypertable
--   slices         {"<column of the dimension>": [start, end], ...} for every dimension, in TimescaleDB's internal units: microseconds since
--                  1970 for times, the value itself for integers, the hash for closed dimensions; the limits of int64 stand for no bound
--   tablespace     the chunk's tablespace; NULL is the database's own
--   creation_time  what retention and compression by creation time go by; NULL is now
CREATE FUNCTION timescale_migrate.create_chunk(
    hypertable regclass, slices jsonb, tablespace name DEFAULT NULL, creation_time timestamptz DEFAULT NULL)
RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    default_tablespace constant text := current_setting('default_tablespace');
    root record;
    new record;
    chunk regclass;
BEGIN
    SELECT h.id, h.associated_schema_name AS chunk_schema INTO root
    FROM _timescaledb_catalog.hypertable h
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    WHERE c.oid = hypertable;
    IF NOT FOUND THEN
        RAISE EXCEPTION '"%" is not a hypertable', hypertable USING ERRCODE = 'wrong_object_type';
    END IF;
    -- One chunk at a time, as TimescaleDB itself does it. Without ONLY, all chunks would be locked as well.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', hypertable);
    PERFORM set_config('default_tablespace', coalesce(tablespace, ''), true);
    -- TimescaleDB looks the operators up that bound a slice.
    PERFORM set_config('search_path', concat_ws(', ', 'pg_catalog', (
        SELECT string_agg(DISTINCT quote_ident(o.schema), ', ')
        FROM _timescaledb_catalog.dimension d
        CROSS JOIN unnest(ARRAY['>=', '<']) x(name)
        CROSS JOIN LATERAL timescale_migrate.operator_schema(x.name, timescale_migrate.compared_type(d.id)) o(schema)
        WHERE d.hypertable_id = root.id AND o.schema <> 'pg_catalog'), 'pg_temp'), true);

    IF current_setting('timescaledb.license') = 'timescale' AND root.chunk_schema = '_timescaledb_internal' THEN
        SELECT c.chunk_id, c.schema_name, c.table_name, c.created INTO STRICT new
        FROM _timescaledb_functions.create_chunk(hypertable, slices) c;
        chunk := format('%I.%I', new.schema_name, new.table_name)::regclass;
        IF new.created THEN
            IF creation_time IS NOT NULL THEN
                UPDATE _timescaledb_catalog.chunk k SET creation_time = create_chunk.creation_time WHERE k.id = new.chunk_id;
            END IF;
            PERFORM timescale_migrate.set_tablespace(chunk, tablespace);
        END IF;
    ELSE
        chunk := timescale_migrate.create_chunk_by_catalog(hypertable, slices, creation_time);
    END IF;

    PERFORM set_config('default_tablespace', default_tablespace, true);
    RETURN chunk;
END
$$;

-- Makes a chunk without TimescaleDB's help. The hypertable is locked by the caller.
CREATE FUNCTION timescale_migrate.create_chunk_by_catalog(hypertable regclass, slices jsonb, creation_time timestamptz)
RETURNS regclass
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
    dimensions integer[];
    starts bigint[];
    ends bigint[];
    slice_id integer;
    slice_ids integer[];
    checks text[] := '{}';
    condition text;
    other record;
    new_id integer;
    new_name name;
    new_chunk regclass;
    changes text[];
BEGIN
    SELECT h.id, h.associated_schema_name AS schema, h.associated_table_prefix AS prefix, c.relpersistence, c.relowner, a.amname,
           (SELECT string_agg(format('%s = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')
            FROM unnest(array_cat(c.reloptions, ARRAY(
                SELECT 'toast.' || o FROM pg_catalog.pg_class t, unnest(t.reloptions) o WHERE t.oid = c.reltoastrelid))) o) AS options
    INTO STRICT root
    FROM _timescaledb_catalog.hypertable h
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    JOIN pg_catalog.pg_am a ON a.oid = c.relam
    WHERE c.oid = create_chunk_by_catalog.hypertable;

    SELECT array_agg(d.id ORDER BY d.id), array_agg((s.bounds->>0)::bigint ORDER BY d.id), array_agg((s.bounds->>1)::bigint ORDER BY d.id)
    INTO dimensions, starts, ends
    FROM _timescaledb_catalog.dimension d
    JOIN jsonb_each(slices) s(name, bounds) ON s.name = d.column_name AND jsonb_array_length(s.bounds) = 2
    WHERE d.hypertable_id = root.id;
    IF cardinality(dimensions) IS DISTINCT FROM (SELECT count(*) FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = root.id)
       OR cardinality(dimensions) <> (SELECT count(*) FROM jsonb_object_keys(slices))
    THEN
        RAISE EXCEPTION 'slices % do not match the dimensions of "%"', slices, hypertable
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- In two steps: the first finds next to nothing, so that the second does not have to read the whole catalog.
    SELECT array_agg(s.id) INTO slice_ids
    FROM _timescaledb_catalog.dimension_slice s
    WHERE s.dimension_id = dimensions[1] AND s.range_start < ends[1] AND s.range_end > starts[1];
    SELECT o.chunk_id, o.same INTO other
    FROM (
        SELECT cc.chunk_id,
               bool_and(s.range_start < w.range_end AND s.range_end > w.range_start) AS overlaps,
               bool_and(s.range_start = w.range_start AND s.range_end = w.range_end) AS same
        FROM _timescaledb_catalog.chunk_constraint fc
        JOIN _timescaledb_catalog.chunk_constraint cc ON cc.chunk_id = fc.chunk_id
        JOIN _timescaledb_catalog.dimension_slice s ON s.id = cc.dimension_slice_id
        JOIN unnest(dimensions, starts, ends) w(dimension, range_start, range_end) ON w.dimension = s.dimension_id
        WHERE fc.dimension_slice_id = ANY (slice_ids)
        GROUP BY cc.chunk_id
    ) o
    WHERE o.overlaps
    LIMIT 1;
    IF other.same THEN
        RETURN (SELECT coalesce(to_jsonb(k)->>'relid', format('%I.%I', to_jsonb(k)->>'schema_name', to_jsonb(k)->>'table_name'))::regclass
                FROM _timescaledb_catalog.chunk k WHERE k.id = other.chunk_id);
    ELSIF FOUND THEN
        RAISE EXCEPTION 'slices % of "%" overlap those of chunk %', slices, hypertable, other.chunk_id
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    new_id := nextval('_timescaledb_catalog.chunk_id_seq');
    new_name := format('%s_%s_chunk', root.prefix, new_id);
    slice_ids := NULL;
    FOR i IN 1 .. cardinality(dimensions) LOOP
        slice_id := NULL;
        IF slices_are_shared THEN
            SELECT s.id INTO slice_id
            FROM _timescaledb_catalog.dimension_slice s
            WHERE s.dimension_id = dimensions[i] AND s.range_start = starts[i] AND s.range_end = ends[i]
            FOR KEY SHARE;
        END IF;
        IF slice_id IS NULL THEN
            slice_id := nextval('_timescaledb_catalog.dimension_slice_id_seq');
            IF slices_are_shared THEN
                INSERT INTO _timescaledb_catalog.dimension_slice (id, dimension_id, range_start, range_end)
                VALUES (slice_id, dimensions[i], starts[i], ends[i]);
            END IF;
        END IF;
        slice_ids[i] := slice_id;
        condition := timescale_migrate.slice_condition(dimensions[i], starts[i], ends[i]);
        IF condition <> '' THEN
            checks := checks || format('CONSTRAINT constraint_%s CHECK (%s)', slice_id, condition);
        END IF;
    END LOOP;

    PERFORM set_config('timescaledb.restoring', 'on', true);

    EXECUTE format('CREATE %sTABLE %I.%I (%s) INHERITS (%s) USING %I%s',
                   CASE WHEN root.relpersistence = 'u' THEN 'UNLOGGED ' ELSE '' END, root.schema, new_name,
                   array_to_string(checks, ', '), hypertable, root.amname,
                   CASE WHEN root.options IS NOT NULL THEN format(' WITH (%s)', root.options) ELSE '' END);
    new_chunk := format('%I.%I', root.schema, new_name)::regclass;

    IF has_relid THEN
        INSERT INTO _timescaledb_catalog.chunk (id, relid, hypertable_id, creation_time)
        VALUES (new_id, new_chunk, root.id, coalesce(create_chunk_by_catalog.creation_time, now()));
    ELSE
        INSERT INTO _timescaledb_catalog.chunk (id, hypertable_id, schema_name, table_name, creation_time)
        VALUES (new_id, root.id, root.schema, new_name, coalesce(create_chunk_by_catalog.creation_time, now()));
    END IF;
    IF slices_are_shared THEN
        INSERT INTO _timescaledb_catalog.chunk_constraint (chunk_id, dimension_slice_id, constraint_name)
        SELECT new_id, s.id, 'constraint_' || s.id FROM unnest(slice_ids) s(id);
    ELSE
        INSERT INTO _timescaledb_catalog.dimension_slice (id, chunk_id, dimension_id, range_start, range_end)
        SELECT s.id, new_id, s.dimension, s.range_start, s.range_end
        FROM unnest(slice_ids, dimensions, starts, ends) s(id, dimension, range_start, range_end);
    END IF;

    SELECT array_agg(format('ALTER %I %s', a.attname, o.change)) INTO changes
    FROM pg_catalog.pg_attribute a
    CROSS JOIN LATERAL (
        SELECT format('SET STATISTICS %s', a.attstattarget) AS change WHERE a.attstattarget >= 0
        UNION ALL
        SELECT format('SET (%s)', string_agg(format('%I = %L', split_part(x, '=', 1), substr(x, strpos(x, '=') + 1)), ', '))
        FROM unnest(a.attoptions) x WHERE x NOT LIKE 'pg\_attver=%' HAVING count(*) > 0
    ) o
    WHERE a.attrelid = hypertable AND a.attnum > 0 AND NOT a.attisdropped;
    IF pg_get_userbyid(root.relowner) <> current_user THEN
        changes := changes || format('OWNER TO %I', pg_get_userbyid(root.relowner));
    END IF;
    IF changes IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s %s', new_chunk, array_to_string(changes, ', '));
    END IF;
    PERFORM timescale_migrate.copy_privileges(hypertable, new_chunk);
    PERFORM timescale_migrate.copy_dependents(hypertable, new_chunk);

    PERFORM set_config('timescaledb.restoring', restoring, true);
    RETURN new_chunk;
END
$$;

-- The type of the values that the slices of a dimension are bounded by.
CREATE FUNCTION timescale_migrate.compared_type(dimension integer)
RETURNS regtype
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN d.partitioning_func IS NULL THEN d.column_type
                WHEN d.num_slices IS NOT NULL THEN 'bigint'::regtype
                ELSE (SELECT p.prorettype::regtype
                      FROM pg_proc p
                      JOIN pg_namespace n ON n.oid = p.pronamespace
                      WHERE n.nspname = d.partitioning_func_schema AND p.proname = d.partitioning_func AND p.pronargs = 1
                        AND p.proargtypes[0] IN (d.column_type, 'anyelement'::regtype)) END
    FROM _timescaledb_catalog.dimension d
    WHERE d.id = compared_type.dimension
$$;

-- Where the operator of this name is that compares values of a type; NULL if it has none of its own.
CREATE FUNCTION timescale_migrate.operator_schema(name name, type regtype)
RETURNS name
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.nspname
    FROM pg_operator o
    JOIN pg_namespace n ON n.oid = o.oprnamespace
    WHERE o.oprname = operator_schema.name AND o.oprleft = operator_schema.type AND o.oprright = operator_schema.type
    ORDER BY n.nspname <> 'pg_catalog', n.nspname
    LIMIT 1
$$;

CREATE FUNCTION timescale_migrate.qualified_operator(name name, type regtype)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(format('OPERATOR(%I.%s)', timescale_migrate.operator_schema(name, type), name), name)
$$;

-- The condition that TimescaleDB puts on a chunk for a slice in one of its dimensions, or NULL where the slice has no bound.
CREATE FUNCTION timescale_migrate.slice_condition(dimension integer, range_start bigint, range_end bigint)
RETURNS text
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $$
DECLARE
    no_start constant bigint := -9223372036854775808;
    no_end constant bigint := 9223372036854775807;
    d record;
    compared text;
    compared_type constant regtype := timescale_migrate.compared_type(dimension);
    bound bigint;
    bounds text[];
    conditions text[];
BEGIN
    SELECT dim.column_name, dim.partitioning_func_schema, dim.partitioning_func
    INTO STRICT d
    FROM _timescaledb_catalog.dimension dim
    WHERE dim.id = slice_condition.dimension;
    compared := CASE WHEN d.partitioning_func IS NULL THEN format('%I', d.column_name)
                     ELSE format('%I.%I(%I)', d.partitioning_func_schema, d.partitioning_func, d.column_name) END;

    -- Times are stored as microseconds since 1970, everything else as it is.
    FOREACH bound IN ARRAY ARRAY[range_start, range_end] LOOP
        bounds := bounds || CASE
            WHEN bound IN (no_start, no_end) THEN ''
            WHEN compared_type = 'timestamptz'::regtype THEN _timescaledb_functions.to_timestamp(bound)::text
            WHEN compared_type = 'timestamp'::regtype THEN _timescaledb_functions.to_timestamp_without_timezone(bound)::text
            WHEN compared_type = 'date'::regtype THEN _timescaledb_functions.to_date(bound)::text
            WHEN compared_type IN ('bigint'::regtype, 'integer'::regtype, 'smallint'::regtype) THEN bound::text
            -- The prefix of version 7: 48 bits of milliseconds, then the microseconds scaled to 12 bits.
            WHEN compared_type = 'uuid'::regtype THEN
                rpad(lpad(to_hex(bound / 1000), 12, '0') || lpad(to_hex(bound % 1000 * 4096 / 1000), 4, '0'), 32, '0')::uuid::text
            -- TimescaleDB takes a user's own type if its values are those of bigint.
            WHEN EXISTS (SELECT FROM pg_catalog.pg_cast c
                         WHERE c.castsource = compared_type AND c.casttarget = 'bigint'::regtype AND c.castmethod = 'b')
            THEN timescale_migrate.bigint_as(bound, compared_type)
        END;
    END LOOP;
    IF bounds[1] IS NULL OR bounds[2] IS NULL THEN
        RAISE EXCEPTION 'cannot tell the bounds of a slice of type %', compared_type
            USING ERRCODE = 'feature_not_supported';
    END IF;

    IF range_start <> no_start THEN
        conditions := conditions || format('%s %s %L', compared, timescale_migrate.qualified_operator('>=', compared_type), bounds[1]);
    END IF;
    IF range_end <> no_end THEN
        conditions := conditions || format('%s %s %L', compared, timescale_migrate.qualified_operator('<', compared_type), bounds[2]);
    END IF;
    RETURN array_to_string(conditions, ' AND ');
END
$$;
