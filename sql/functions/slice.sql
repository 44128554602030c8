-- The conditions that bound chunks in the dimensions of their hypertable.
-- Run at CREATE EXTENSION; called on the target by the functions of chunk.sql. TimescaleDB 2.19 and later, any edition.

-- How the slices of a dimension are bounded: the expression that is compared, its type, the schemas of the operators, and the operators in
-- the form in which an expression names them. If the type has no operators itself, those of another type are used, without a schema.
CREATE FUNCTION timescale_migrate.comparison(
    dimension integer, OUT compared text, OUT type regtype, OUT schemas name[], OUT at_least text, OUT below text)
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d record;
    at_least_schema name;
    below_schema name;
BEGIN
    SELECT dim.column_name, dim.column_type, dim.num_slices, dim.partitioning_func_schema, dim.partitioning_func
    INTO STRICT d
    FROM _timescaledb_catalog.dimension dim
    WHERE dim.id = dimension;
    compared := CASE WHEN d.partitioning_func IS NULL THEN format('%I', d.column_name)
                     ELSE format('%I.%I(%I)', d.partitioning_func_schema, d.partitioning_func, d.column_name) END;
    type := CASE WHEN d.partitioning_func IS NULL THEN d.column_type
                 WHEN d.num_slices IS NOT NULL THEN 'bigint'::regtype
                 ELSE (SELECT p.prorettype::regtype
                       FROM pg_proc p
                       JOIN pg_namespace n ON n.oid = p.pronamespace
                       WHERE n.nspname = d.partitioning_func_schema AND p.proname = d.partitioning_func AND p.pronargs = 1
                         AND p.proargtypes[0] IN (d.column_type, 'anyelement'::regtype)) END;
    IF type IS NULL THEN
        RAISE EXCEPTION 'cannot determine the type of the slices in dimension %', dimension USING ERRCODE = 'feature_not_supported';
    END IF;
    at_least_schema := timescale_migrate.operator_schema('>=', type);
    below_schema := timescale_migrate.operator_schema('<', type);
    schemas := ARRAY(SELECT DISTINCT s FROM unnest(ARRAY[at_least_schema, below_schema]) s WHERE s <> 'pg_catalog');
    at_least := coalesce(format('OPERATOR(%I.>=)', at_least_schema), '>=');
    below := coalesce(format('OPERATOR(%I.<)', below_schema), '<');
END
$$;

-- The schema of the operator with this name that compares values of a type; NULL if the type has none of its own.
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

-- A bound of a slice as text of the type that is compared. TimescaleDB stores times as microseconds since 1970, everything else as it is.
CREATE FUNCTION timescale_migrate.bound(value bigint, type regtype)
RETURNS text
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $$
BEGIN
    CASE type
        WHEN 'timestamptz'::regtype THEN RETURN _timescaledb_functions.to_timestamp(value)::text;
        WHEN 'timestamp'::regtype THEN RETURN _timescaledb_functions.to_timestamp_without_timezone(value)::text;
        WHEN 'date'::regtype THEN RETURN _timescaledb_functions.to_date(value)::text;
        WHEN 'bigint'::regtype, 'integer'::regtype, 'smallint'::regtype THEN RETURN value::text;
        -- The prefix of version 7: 48 bits of milliseconds, then the microseconds scaled to 12 bits.
        WHEN 'uuid'::regtype THEN
            RETURN rpad(lpad(to_hex(value / 1000), 12, '0') || lpad(to_hex(value % 1000 * 4096 / 1000), 4, '0'), 32, '0')::uuid::text;
        ELSE
            -- TimescaleDB accepts a user-defined type whose values are those of bigint.
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_cast c
                           WHERE c.castsource = type AND c.casttarget = 'bigint'::regtype AND c.castmethod = 'b') THEN
                RAISE EXCEPTION 'cannot determine the bounds of a slice of type %', type USING ERRCODE = 'feature_not_supported';
            END IF;
            RETURN timescale_migrate.bigint_as(value, type);
    END CASE;
END
$$;
