-- PostgreSQL's objects in this database that a run does not migrate.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON array per finding: kind, subject, detail, and as [OID of the catalog, OID] the object that it is about; null if it matters
-- whatever part of the database is migrated, and [0, 0] if it matters only to the whole of it.
SELECT json_build_array(f.kind, f.subject, f.detail, CASE WHEN f.oid IS NOT NULL THEN json_build_array(f.class::int8, f.oid::int8) END)::text
FROM (
    SELECT 'subscription' AS kind, s.subname::text AS subject,
           'The subscription is not migrated: two subscribers would share one slot on its publisher.' AS detail, 0::oid AS class, 0::oid AS oid
    FROM pg_catalog.pg_subscription s
    JOIN pg_catalog.pg_database d ON d.oid = s.subdbid AND d.datname = current_database()
    UNION ALL
    SELECT 'replication slot', s.slot_name::text,
           'A logical replication slot belongs to its server and is not migrated.', 0, 0
    FROM pg_catalog.pg_replication_slots s
    WHERE s.slot_type = 'logical' AND s.database = current_database() AND NOT s.temporary
    UNION ALL
    SELECT 'prepared transaction', x.gid,
           format('It was prepared by %s at %s and is not migrated: its changes are not visible.', x.owner, x.prepared), NULL, NULL
    FROM pg_catalog.pg_prepared_xacts x
    WHERE x.database = current_database()
    UNION ALL
    -- Only superusers can see whether there are any.
    SELECT 'user mapping', format('of %s for server %s', u.usename, u.srvname),
           'Its options, such as a password, are shown to superusers only: it arrives without them.',
           'pg_catalog.pg_foreign_server'::regclass, u.srvid
    FROM pg_catalog.pg_user_mappings u
    WHERE u.umoptions IS NULL AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
    UNION ALL
    SELECT 'security label', format('%s on %s', s.provider, coalesce(pg_describe_object(s.classoid, s.objoid, 0), 'a dropped object')),
           'Labels on roles and databases are not migrated.', NULL, NULL
    FROM pg_catalog.pg_shseclabel s
    WHERE s.classoid <> 'pg_catalog.pg_database'::regclass
       OR s.objoid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
    UNION ALL
    -- Of a hypertable or a partitioned table, not each chunk or partition.
    SELECT 'foreign key', format('%I of %s', k.conname, k.conrelid::regclass),
           'Its triggers are disabled, or do not fire as usual. On the target they do.', 'pg_catalog.pg_class'::regclass, k.conrelid
    FROM pg_catalog.pg_constraint k
    WHERE k.contype = 'f'
      AND EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgisinternal AND t.tgenabled <> 'O')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = k.conrelid)
    UNION ALL
    SELECT 'invalid index', format('%I.%I', n.nspname, c.relname),
           'pg_dump leaves invalid indexes out, so the target will not have it.', 'pg_catalog.pg_class'::regclass, i.indrelid
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND c.relpersistence <> 't' AND n.nspname <> 'pg_toast'
) f
ORDER BY f.kind, f.subject
