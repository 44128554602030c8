-- Names for new relations that no other transaction chooses.
-- Run at CREATE EXTENSION; called on the target by the functions of compression.sql, chunk_index.sql and cagg.sql.

-- The name that PostgreSQL and TimescaleDB make from two names and a label, as in PostgreSQL's makeObjectName(): if it is too long, the
-- longer of the two names is truncated.
CREATE FUNCTION timescale_migrate.object_name(first text, second text, label text, length integer DEFAULT 63)
RETURNS name
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws('_', left(first, (SELECT max(n) FROM generate_series(0, 63) n WHERE octet_length(left(first, n)) <= room - taken)),
                          left(second, (SELECT max(n) FROM generate_series(0, 63) n WHERE octet_length(left(second, n)) <= taken)), label)
    FROM (SELECT length - 1 - coalesce(octet_length(label) + 1, 0)) r(room),
         LATERAL (SELECT least(octet_length(second), greatest(room / 2, room - octet_length(first)))) s(taken)
$$;

-- A name for a new relation in a schema: the name that PostgreSQL and TimescaleDB would choose, if it need not be truncated and is not in
-- use. A truncated name may not be unique, and relations that other transactions are making are not visible; so any other name ends with a
-- label that no relation made at the same time has.
CREATE FUNCTION timescale_migrate.relation_name(schema oid, first text, second text, label text)
RETURNS name
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    new_name text := concat_ws('_', first, second);
    number integer;
BEGIN
    WHILE octet_length(new_name) > 63 OR EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = schema AND c.relname = new_name) LOOP
        -- One byte is left for the underscore that begins the name of the array type of a table's rows.
        new_name := timescale_migrate.object_name(first, second, concat_ws('_', label, number), 62);
        number := coalesce(number, 0) + 1;
    END LOOP;
    RETURN new_name;
END
$$;
