-- Making hypertables as they are on the source.
-- Run at CREATE EXTENSION; called on the target by the coordinator, on empty tables, before any chunk exists.
-- TimescaleDB 2.19 and later, any edition.

-- The target's function for the partitioning function that a dimension names on the source. NULL for TimescaleDB's own default hash.
CREATE FUNCTION timescale_migrate.partitioning_function(dimension jsonb)
RETURNS regproc
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- TimescaleDB's own functions were in _timescaledb_internal until 2.11.
    schema constant name := replace(dimension->>'partitioning_func_schema', '_timescaledb_internal', '_timescaledb_functions');
    found_function regproc;
BEGIN
    IF dimension->>'partitioning_func' IS NULL
       OR (schema, dimension->>'partitioning_func') = ('_timescaledb_functions', 'get_partition_hash') THEN
        RETURN NULL;
    END IF;
    SELECT p.oid INTO found_function
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = schema AND p.proname = dimension->>'partitioning_func' AND p.pronargs = 1
      AND p.proargtypes[0] IN ((dimension->>'type')::regtype, 'anyelement'::regtype)
    ORDER BY p.proargtypes[0] = 'anyelement'::regtype
    LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partitioning function %.% for dimension "%" does not exist',
            quote_ident(schema), quote_ident(dimension->>'partitioning_func'), dimension->>'column'
            USING ERRCODE = 'undefined_function';
    END IF;
    RETURN found_function;
END
$$;

-- Makes a hypertable of an empty table. `spec` is an object from inventory/hypertables.sql, of which it uses the names, the dimensions,
-- the schema and the prefix of chunks. Indexes come with the rest of the schema, tablespaces with attach_tablespaces().
CREATE FUNCTION timescale_migrate.create_hypertable(spec jsonb)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Suppresses TimescaleDB's advice on types, which are the source's.
SET client_min_messages = error
AS $$
DECLARE
    api constant name := (
        SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb');
    hypertable constant regclass := format('%I.%I', spec->>'schema', spec->>'name')::regclass;
    restoring constant text := current_setting('timescaledb.restoring');
    root_tablespace constant name := (
        SELECT s.spcname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace
        WHERE c.oid = hypertable);
    dimension jsonb;
    first jsonb;
BEGIN
    -- create_hypertable() would attach the table's tablespace, and require that the owner has a privilege on it. Tablespaces are attached
    -- by attach_tablespaces() alone. The table is moved back without TimescaleDB's hooks.
    PERFORM timescale_migrate.set_tablespace(hypertable, NULL);

    -- create_hypertable() makes the first open dimension. Intervals of time are in microseconds, which is exact also for months.
    first := jsonb_path_query_first(spec, '$.dimensions[*] ? (@.open == true)');
    IF first IS NULL THEN
        RAISE EXCEPTION 'hypertable "%" has no open dimension', hypertable
            USING ERRCODE = 'feature_not_supported';
    END IF;
    -- A default prefix holds the hypertable's id, which differs on the target.
    EXECUTE format('SELECT FROM %I.create_hypertable(
                        $1, $2, associated_schema_name => $3, associated_table_prefix => $4, chunk_time_interval => $5,
                        create_default_indexes => false, time_partitioning_func => $6)', api)
    USING hypertable, (first->>'column')::name, (spec->>'associated_schema_name')::name,
          CASE WHEN spec->>'associated_table_prefix' !~ '^_(dist_)?hyper_\d+$' THEN (spec->>'associated_table_prefix')::name END,
          (first->>'interval_length')::bigint, timescale_migrate.partitioning_function(first);

    FOR dimension IN SELECT d FROM jsonb_array_elements(spec->'dimensions') d WHERE d <> first LOOP
        EXECUTE format('SELECT FROM %I.add_dimension(
                            $1, $2, number_partitions => $3, chunk_time_interval => $4, partitioning_func => $5)', api)
        USING hypertable, (dimension->>'column')::name, (dimension->>'num_slices')::integer, (dimension->>'interval_length')::bigint,
              timescale_migrate.partitioning_function(dimension);
    END LOOP;

    IF first->>'integer_now_func' IS NOT NULL THEN
        EXECUTE format('SELECT %I.set_integer_now_func($1, $2)', api)
        USING hypertable, format('%I.%I()', first->>'integer_now_func_schema', first->>'integer_now_func')::regprocedure::regproc;
    END IF;

    PERFORM set_config('timescaledb.restoring', 'on', true);
    PERFORM timescale_migrate.set_tablespace(hypertable, root_tablespace);
    PERFORM set_config('timescaledb.restoring', restoring, true);
END
$$;

-- Attaches exactly these tablespaces to a hypertable, in this order, which is the order in which new chunks take turns.
-- TimescaleDB's attach_tablespace() would move the root too, and require that the owner has a privilege on the tablespace. Such privileges
-- belong to the server, not to the database, and the owner had it when the tablespace was attached on the source.
CREATE FUNCTION timescale_migrate.attach_tablespaces(hypertable regclass, tablespaces name[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    attached_to constant integer := (
        SELECT h.id
        FROM _timescaledb_catalog.hypertable h
        JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
        WHERE c.oid = hypertable);
    missing name;
BEGIN
    SELECT t.name INTO missing
    FROM unnest(tablespaces) t(name)
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_tablespace s WHERE s.spcname = t.name);
    IF FOUND THEN
        RAISE EXCEPTION 'tablespace "%" does not exist', missing USING ERRCODE = 'undefined_object';
    END IF;
    DELETE FROM _timescaledb_catalog.tablespace t WHERE t.hypertable_id = attached_to;
    INSERT INTO _timescaledb_catalog.tablespace (hypertable_id, tablespace_name)
    SELECT attached_to, t.name FROM unnest(tablespaces) WITH ORDINALITY t(name, position) ORDER BY t.position;
END
$$;

-- Makes an index of a hypertable as TimescaleDB does by default, descending by the last column, and returns it. `taken` holds names that
-- are needed for others in its schema.
CREATE FUNCTION timescale_migrate.create_default_index(hypertable regclass, columns name[], taken name[])
RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ending constant text := array_to_string(columns, '_') || '_idx';
    table_schema name;
    new_name name;
    owner oid;
BEGIN
    SELECT n.nspname, c.relowner, timescale_migrate.relation_name(c.relnamespace, c.relname, ending, c.oid::text)
    INTO STRICT table_schema, owner, new_name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = hypertable;
    IF new_name = ANY (taken) THEN
        SELECT timescale_migrate.relation_name(c.relnamespace, timescale_migrate.object_name(c.relname, ending, c.oid::text), NULL, NULL)
        INTO STRICT new_name FROM pg_catalog.pg_class c WHERE c.oid = hypertable;
    END IF;
    PERFORM timescale_migrate.execute_as_written(
        format('CREATE INDEX %I ON %s (%s DESC)', new_name, hypertable, (SELECT string_agg(quote_ident(c), ', ' ORDER BY n) FROM unnest(columns) WITH ORDINALITY u(c, n))),
        owner);
    RETURN format('%I.%I', table_schema, new_name)::regclass;
END
$$;

-- Whether a relation is a hypertable, also without TimescaleDB.
CREATE FUNCTION timescale_migrate.is_hypertable(relation oid)
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN to_regclass('_timescaledb_catalog.hypertable') IS NOT NULL AND EXISTS (
        SELECT FROM _timescaledb_catalog.hypertable h
        JOIN pg_namespace n ON n.nspname = h.schema_name
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
        WHERE c.oid = is_hypertable.relation);
END
$$;
