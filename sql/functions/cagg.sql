-- Making continuous aggregates as they are on the source.
-- Run at CREATE EXTENSION; called on the target by the coordinator. TimescaleDB 2.19 and later, Community edition.
--
-- They are created on empty hypertables, each after those that it reads. Then the chunks of their materialization hypertables are copied
-- like any others, and indexes are made. When nothing is loaded any more, set_cagg_state() gives them the state that they have on the source.

-- The materialization hypertable of a continuous aggregate; NULL if there is none of that name.
CREATE FUNCTION timescale_migrate.materialization_hypertable(view_schema name, view_name name)
RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.oid::regclass
    FROM _timescaledb_catalog.continuous_agg a
    JOIN _timescaledb_catalog.hypertable h ON h.id = a.mat_hypertable_id
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    WHERE a.user_view_schema = materialization_hypertable.view_schema AND a.user_view_name = materialization_hypertable.view_name
$$;

-- A query with time_bucket() in place of timescaledb_experimental.time_bucket_ng(), which no aggregate can be created with since 2.15 and
-- which is gone since 2.25. `api` is the schema of time_bucket(). For widths of whole days and months, time_bucket_ng() takes dates, in the
-- time zone if there is one, and of the origin the date only; without an origin it counts days from 2000-01-01, time_bucket() from
-- 2000-01-03. Everything else is the same. The contents of constants and quoted names are skipped, always from the query's start.
CREATE FUNCTION timescale_migrate.without_time_bucket_ng(definition text, api name)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
AS $$
DECLARE
    call constant text := 'timescaledb_experimental.time_bucket_ng(';
    -- The shortest text before a call that closes every quote that it opens.
    before constant text := $r$^((?:[^'"]|'[^']*'|"[^"]*")*?)\mtimescaledb_experimental\.time_bucket_ng\($r$;
    literal constant text := $r$^\s*'((?:[^']|'')*)'::$r$;
    at integer;
    depth integer;
    quote text;
    argument integer;
    arguments text[];
    c text;
    value jsonb;
    width interval;
    zone text;
    start timestamp;
BEGIN
    LOOP
        at := length(substring(definition FROM before)) + 1;
        EXIT WHEN at IS NULL;
        -- Split the arguments, whatever parentheses, names and constants they are made of.
        depth := 1;
        quote := NULL;
        arguments := '{}';
        argument := at + length(call);
        FOR i IN argument .. length(definition) LOOP
            c := substr(definition, i, 1);
            IF quote IS NOT NULL THEN
                quote := nullif(quote, c);
            ELSIF c IN ('''', '"') THEN
                quote := c;
            ELSIF c = '(' THEN
                depth := depth + 1;
            ELSIF c = ')' THEN
                depth := depth - 1;
            END IF;
            IF quote IS NULL AND (depth = 0 OR (depth = 1 AND c = ',')) THEN
                arguments := arguments || substr(definition, argument, i - argument);
                argument := i + 1;
            END IF;
            EXIT WHEN depth = 0;
        END LOOP;

        -- An argument has its name if it had one in the query. Without, the type tells the time zone from the origin.
        value := '{}';
        FOR i IN 1 .. cardinality(arguments) LOOP
            c := regexp_replace(arguments[i], '^\s*([a-z_]+ => )?', '');
            value := value || jsonb_build_object(
                coalesce(substring(arguments[i] FROM '^\s*([a-z_]+) => '),
                         CASE WHEN i = 1 THEN 'bucket_width' WHEN i = 2 THEN 'ts' WHEN c ~ '::text$' THEN 'timezone' ELSE 'origin' END), c);
        END LOOP;
        IF value - '{bucket_width,ts,timezone,origin}'::text[] <> '{}' THEN
            RAISE EXCEPTION 'time_bucket_ng() has arguments that time_bucket() does not take'
                USING ERRCODE = 'feature_not_supported', DETAIL = format('The query is: %s', definition);
        END IF;
        width := substring(value->>'bucket_width' FROM literal)::interval;
        zone := substring(value->>'timezone' FROM literal);
        start := NULL;
        IF extract(hour FROM width) = 0 AND extract(minute FROM width) = 0 AND extract(second FROM width) = 0 THEN
            IF value ? 'origin' THEN
                start := date_trunc('day', CASE WHEN zone IS NULL THEN substring(value->>'origin' FROM literal)::timestamp
                                                ELSE substring(value->>'origin' FROM literal)::timestamptz AT TIME ZONE zone END);
            ELSIF extract(month FROM width) = 0 AND extract(year FROM width) = 0 THEN
                start := '2000-01-01';
            END IF;
            IF start IS NOT NULL THEN
                value := value || jsonb_build_object('origin', CASE WHEN zone IS NULL THEN format('%L', start)
                                                                    ELSE format('%L::timestamptz', start AT TIME ZONE zone) END);
            END IF;
        END IF;
        definition := left(definition, at - 1)
            || format('%I.time_bucket(%s, %s', api, value->>'bucket_width', value->>'ts')
            || coalesce(', ' || (value->>'timezone'), '') || coalesce(', origin => ' || (value->>'origin'), '')
            || ')' || substr(definition, argument);
    END LOOP;
    RETURN definition;
END
$$;

-- Makes an empty continuous aggregate and returns its materialization hypertable, which has no index yet. `spec` is an object from
-- inventory/caggs.sql; without an owner in it, the aggregate is the current user's.
CREATE FUNCTION timescale_migrate.create_cagg(spec jsonb)
RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Origins, offsets and widths are stored as text.
SET datestyle = 'ISO'
SET intervalstyle = 'postgres'
SET timezone = 'UTC'
-- Suppresses TimescaleDB's advice on the query, which cannot be changed here.
SET client_min_messages = error
AS $$
DECLARE
    api constant name := (
        SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb');
    author constant oid := to_regrole(quote_ident(spec->>'owner'));
    restoring constant text := current_setting('timescaledb.restoring');
    materialization regclass;
    old_index regclass;
    key record;
    difference text;
BEGIN
    -- It may have been made with another aggregate.
    FOR key IN
        SELECT k.* FROM jsonb_to_recordset(spec->'keys') k(schema name, "table" name, name name, definition text)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint c
            WHERE c.conrelid = format('%I.%I', k.schema, k."table")::regclass AND c.conname = k.name)
    LOOP
        PERFORM timescale_migrate.execute_as_written(
            format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', key.schema, key."table", key.name, key.definition), author);
    END LOOP;

    -- It would be attached to the hypertable, and apply to all later chunks.
    PERFORM set_config('default_tablespace', '', true);
    IF EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name = 'timescaledb.enable_cagg_window_functions') THEN
        PERFORM set_config('timescaledb.enable_cagg_window_functions', 'on', true);
    END IF;
    PERFORM timescale_migrate.execute_as_written(format(
        'CREATE MATERIALIZED VIEW %I.%I
         WITH (timescaledb.continuous, timescaledb.materialized_only = %s, timescaledb.create_group_indexes = false)
         AS %s WITH NO DATA',
        spec->>'schema', spec->>'name', (spec->>'materialized_only')::boolean,
        CASE WHEN (spec->>'time_bucket_ng')::boolean THEN timescale_migrate.without_time_bucket_ng(spec->>'definition', api)
             ELSE spec->>'definition' END), author);
    materialization := timescale_migrate.materialization_hypertable(spec->>'schema', spec->>'name');

    -- Rows are copied by the names of these columns.
    SELECT string_agg(coalesce(s.name || ' ' || s.type, h.name || ' ' || h.type), ', ') INTO difference
    FROM jsonb_to_recordset(spec->'relation'->'columns') s(name name, type text)
    FULL JOIN (
        SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = materialization AND a.attnum > 0 AND NOT a.attisdropped
    ) h ON h.name = s.name AND h.type = s.type
    WHERE s.name IS NULL OR h.name IS NULL;
    IF difference IS NOT NULL THEN
        RAISE EXCEPTION 'continuous aggregate "%"."%" has other columns on the target than on the source', spec->>'schema', spec->>'name'
            USING ERRCODE = 'datatype_mismatch', DETAIL = format('Not on both sides: %s.', difference);
    END IF;

    EXECUTE format('SELECT %I.set_chunk_time_interval($1, $2)', api) USING materialization, (spec->>'chunk_interval')::bigint;

    -- The index on time that every hypertable is created with. The source's indexes are made when the rows have arrived.
    FOR old_index IN SELECT x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid = materialization LOOP
        EXECUTE format('DROP INDEX %s', old_index);
    END LOOP;

    IF jsonb_array_length(nullif(spec->'options', 'null')) > 0 THEN
        EXECUTE format('ALTER TABLE %s SET (%s)', materialization, (
            SELECT string_agg(format('%s = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')
            FROM jsonb_array_elements_text(spec->'options') o));
    END IF;
    PERFORM set_config('timescaledb.restoring', 'on', true);
    PERFORM timescale_migrate.set_tablespace(materialization, spec->>'tablespace');
    PERFORM set_config('timescaledb.restoring', restoring, true);

    IF spec->>'owner' <> current_user THEN
        EXECUTE format('ALTER MATERIALIZED VIEW %I.%I OWNER TO %I', spec->>'schema', spec->>'name', spec->>'owner');
    END IF;
    RETURN materialization;
END
$$;

-- Makes an index of a materialization hypertable. `spec` is an object from `indexes` of inventory/caggs.sql, and
-- `source` the name of that hypertable on the source, which the names of its indexes begin with. Returns the root's.
CREATE FUNCTION timescale_migrate.create_cagg_index(view_schema name, view_name name, source name, spec jsonb)
RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    materialization constant regclass := timescale_migrate.materialization_hypertable(view_schema, view_name);
    default_tablespace constant text := current_setting('default_tablespace');
    new_name name := spec->>'name';
BEGIN
    IF starts_with(new_name, source || '_') THEN
        SELECT timescale_migrate.relation_name(c.relnamespace, c.relname, substr(new_name, length(source) + 2), c.oid::text)
        INTO STRICT new_name
        FROM pg_catalog.pg_class c WHERE c.oid = materialization;
    END IF;
    PERFORM set_config('default_tablespace', coalesce(spec->>'tablespace', ''), true);
    PERFORM timescale_migrate.execute_as_written(
        format('CREATE %sINDEX %I ON %s%s', CASE WHEN (spec->>'unique')::boolean THEN 'UNIQUE ' ELSE '' END, new_name,
               materialization, spec->>'definition'),
        (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = materialization));
    PERFORM set_config('default_tablespace', default_tablespace, true);
    IF spec->>'comment' IS NOT NULL THEN
        EXECUTE format('COMMENT ON INDEX %I.%I IS %L',
                       (SELECT relnamespace::regnamespace::name FROM pg_catalog.pg_class WHERE oid = materialization), new_name, spec->>'comment');
    END IF;
    RETURN (SELECT x.indexrelid FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = materialization AND i.relname = new_name);
END
$$;

-- Gives a materialization hypertable the properties that users gave to the source's: `own` of inventory/caggs.sql. Its rows have arrived
-- already, so that no trigger fires for them. Returns a list of what could not be made, or NULL.
CREATE FUNCTION timescale_migrate.set_cagg_own(view_schema name, view_name name, own jsonb)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    materialization constant regclass := timescale_migrate.materialization_hypertable(view_schema, view_name);
    t record;
    lost text[];
BEGIN
    IF own ? 'comment' THEN
        EXECUTE format('COMMENT ON TABLE %s IS %L', materialization, own->>'comment');
    END IF;
    IF own ? 'identity' THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', materialization, own->>'identity');
    END IF;
    -- An aggregate in the format from before 2.7 has other columns on the target.
    FOR t IN
        SELECT c.key AS name, c.value AS comment FROM jsonb_each_text(own->'columns') c
        JOIN pg_attribute a ON a.attrelid = materialization AND a.attname = c.key AND NOT a.attisdropped
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', materialization, t.name, t.comment);
    END LOOP;
    FOR t IN SELECT x.* FROM jsonb_to_recordset(own->'triggers') x(name name, function text, before text, after text, comment text) LOOP
        IF to_regprocedure(t.function) IS NULL THEN
            lost := lost || format('trigger %I is left out: its function %s does not exist on the target', t.name, t.function);
            CONTINUE;
        END IF;
        PERFORM timescale_migrate.execute_as_written(format('%s ON %s %s', t.before, materialization, t.after), (
            SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = materialization));
        IF t.comment IS NOT NULL THEN
            EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', t.name, materialization, t.comment);
        END IF;
    END LOOP;
    RETURN array_to_string(lost, '; ');
END
$$;

-- Makes the next refresh of a continuous aggregate compute every bucket for which there are raw rows, and returns the statement for the
-- refresh. The aggregate is as it was created, or a refresh of it was interrupted.
CREATE FUNCTION timescale_migrate.begin_refresh(view_schema name, view_name name)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    id constant integer := (
        SELECT a.mat_hypertable_id FROM _timescaledb_catalog.continuous_agg a
        WHERE (a.user_view_schema, a.user_view_name) = (begin_refresh.view_schema, begin_refresh.view_name));
BEGIN
    -- As of a new aggregate.
    PERFORM timescale_migrate.delete_rows(
        '_timescaledb_catalog.continuous_aggs_materialization_invalidation_log', format('WHERE materialization_id = %s', id));
    INSERT INTO _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
        (materialization_id, lowest_modified_value, greatest_modified_value)
    VALUES (id, -9223372036854775808, 9223372036854775807);
    RETURN format('CALL %I.refresh_continuous_aggregate(%L, NULL, NULL)', (
        SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb'), format('%I.%I', view_schema, view_name));
END
$$;
