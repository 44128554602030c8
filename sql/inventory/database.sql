-- What belongs to the database itself rather than to an object in it, and the tablespaces that it uses.
-- Run on: source and target. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one row, one JSON object. `acl` is null where it was never changed; a null grantee is PUBLIC. A setting's null role is every role.
SELECT json_build_object(
    'owner', pg_get_userbyid(d.datdba),
    'comment', shobj_description(d.oid, 'pg_database'),
    'connection_limit', d.datconnlimit,
    'acl', CASE WHEN d.datacl IS NOT NULL THEN (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
            'privilege', a.privilege_type,
            'grantable', a.is_grantable)), '[]'::json)
        FROM aclexplode(d.datacl) a) END,
    'settings', (
        SELECT coalesce(json_agg(json_build_object(
            'role', CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END,
            'settings', s.setconfig)), '[]'::json)
        FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid),
    'server_settings', (
        SELECT coalesce(json_agg(c), '[]'::json)
        FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setdatabase = 0 AND s.setrole = 0),
    'tablespaces', (
        SELECT coalesce(json_agg(t.spcname ORDER BY t.spcname), '[]'::json)
        FROM pg_catalog.pg_tablespace t
        WHERE t.oid IN (SELECT c.reltablespace FROM pg_catalog.pg_class c WHERE c.oid >= 16384)),
    'large_objects', json_build_object(
        'count', (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata),
        'bytes', pg_table_size('pg_catalog.pg_largeobject'),
        'readable', has_table_privilege('pg_catalog.pg_largeobject', 'SELECT'))
)::text
FROM pg_catalog.pg_database d
WHERE d.datname = current_database()
