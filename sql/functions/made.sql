-- Records the objects that a run makes, so that migrate_cleanup can remove them, and no others.
-- Run on: target, when the extension is made. PostgreSQL 15 and later.

SET LOCAL search_path TO pg_catalog, pg_temp;

-- Every object that can be dropped by itself: not a member of an extension or a part of another object, which is dropped with that.
CREATE VIEW timescale_migrate.object AS
SELECT o.classid, o.objid, o.xid, (o.classid::bigint << 32) | o.objid::bigint AS key
FROM (
    SELECT tableoid AS classid, oid AS objid, xmin AS xid FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_type
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_proc
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_operator
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_opclass
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_opfamily
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_am
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_collation
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_conversion
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_cast
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_transform
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_language
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_extension
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_foreign_server
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_user_mapping
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_event_trigger
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_publication
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_statistic_ext
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_ts_config
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_ts_dict
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_ts_template
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_default_acl
    UNION ALL SELECT tableoid, oid, xmin FROM pg_catalog.pg_authid
) o
WHERE o.objid >= 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = o.classid AND d.objid = o.objid AND d.objsubid = 0 AND d.deptype IN ('e', 'i'))
UNION ALL
-- Users can choose their numbers.
SELECT l.classid, l.oid, l.xmin, (l.classid::bigint << 32) | l.oid::bigint
FROM (SELECT 'pg_catalog.pg_largeobject'::pg_catalog.regclass::oid AS classid, oid, xmin FROM pg_catalog.pg_largeobject_metadata) l;

-- Records the objects that the current transaction has made; `before` holds the keys (of the view above) of those that existed before. If
-- a row is visible although the transaction that wrote it is in progress, the current transaction wrote it.
CREATE FUNCTION timescale_migrate.enter_made(run bigint, before bigint[]) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO timescale_migrate.made_log (run, classid, objid)
    SELECT enter_made.run, o.classid, o.objid
    FROM timescale_migrate.object o, (SELECT pg_current_xact_id() AS id) own
    WHERE o.key <> ALL (enter_made.before)
      AND pg_xact_status(((own.id::text::bigint + age(own.id::xid) - age(o.xid))::text)::xid8) = 'in progress'
    ON CONFLICT DO NOTHING
$$;

-- Checks that the run made or adopted the relation that it found by its name and is about to write to: the owner of the schema may have put another
-- relation in its place. A member of an extension, whose owner has to be a superuser, may have existed before.
CREATE FUNCTION timescale_migrate.own_relation(run bigint, relation regclass) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM timescale_migrate.made_log m
        WHERE m.run = own_relation.run AND m.classid = 'pg_class'::regclass AND m.objid = own_relation.relation)
    AND NOT EXISTS (
        SELECT FROM timescale_migrate.adopted_log a WHERE a.run = own_relation.run AND a.relation = own_relation.relation)
    AND NOT EXISTS (
        SELECT FROM pg_depend d
        JOIN pg_extension e ON e.oid = d.refobjid
        JOIN pg_roles o ON o.oid = e.extowner
        WHERE d.classid = 'pg_class'::regclass AND d.objid = own_relation.relation AND d.refclassid = 'pg_extension'::regclass
          AND d.deptype = 'e' AND o.rolsuper)
    THEN
        RAISE EXCEPTION 'relation % is not the one that run % made', own_relation.relation, own_relation.run
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Another relation has taken its name.',
                  HINT = format('Rename the other relation. If the run''s own is gone, call migrate_cleanup(%s), then migrate_from.', own_relation.run);
    END IF;
    RETURN own_relation.relation;
END
$$;

-- The hypertables and continuous aggregates that a run made, with the statement that drops each.
CREATE FUNCTION timescale_migrate.made_hypertables(run bigint)
RETURNS TABLE (relation regclass, statement text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('timescaledb_information.hypertables') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE
        'SELECT c.oid::regclass, CASE WHEN c.relkind = ''v'' THEN ''DROP MATERIALIZED VIEW '' ELSE ''DROP TABLE '' END || c.oid::regclass
         FROM timescale_migrate.made_log m
         JOIN pg_class c ON c.oid = m.objid AND m.classid = ''pg_class''::regclass
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE m.run = $1
           AND (c.relkind = ''r'' AND EXISTS (SELECT FROM timescaledb_information.hypertables h
                                             WHERE (h.hypertable_schema, h.hypertable_name) = (n.nspname, c.relname))
             OR c.relkind = ''v'' AND EXISTS (SELECT FROM timescaledb_information.continuous_aggregates a
                                             WHERE (a.view_schema, a.view_name) = (n.nspname, c.relname)))
         ORDER BY c.oid DESC' USING run;
END
$$;

-- The tables with copies of compressed rows that no chunk has as its compressed relation yet, with the statement that drops each.
CREATE FUNCTION timescale_migrate.made_compressed(run bigint) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('_timescaledb_catalog.compression_settings') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE
        'SELECT ''DROP TABLE '' || c.oid::regclass
         FROM timescale_migrate.task_log t
         JOIN pg_class c ON c.oid = t.compressed
         WHERE t.run = $1
           AND NOT EXISTS (SELECT FROM _timescaledb_catalog.compression_settings s WHERE s.compress_relid = c.oid)' USING run;
END
$$;

-- The chunks of such a hypertable or continuous aggregate.
CREATE FUNCTION timescale_migrate.chunks_of(relation regclass) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT c FROM %I.show_chunks($1) c',
        (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'))
        USING relation;
END
$$;

-- The jobs whose function or procedure a run made.
CREATE FUNCTION timescale_migrate.made_jobs(run bigint) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('timescaledb_information.jobs') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE
        format('SELECT DISTINCT format(''SELECT %I.delete_job(%%s)'', j.job_id) FROM timescaledb_information.jobs j
         JOIN pg_namespace n ON n.nspname = j.proc_schema
         JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = j.proc_name
         JOIN timescale_migrate.made_log m ON m.objid = p.oid AND m.classid = ''pg_proc''::regclass AND m.run = $1',
            (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'))
        USING run;
END
$$;

SET LOCAL search_path TO @extschema@, pg_temp;
