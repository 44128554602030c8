-- The roles of this server.
-- Run on: target, as a superuser. PostgreSQL 15 and later.
-- Returns: one JSON object per role, with the fields of inventory/roles.sql; `ours`: made by a run that is not done.
SELECT json_build_object(
    'name', r.rolname,
    'superuser', r.rolsuper,
    'inherit', r.rolinherit,
    'create_role', r.rolcreaterole,
    'create_db', r.rolcreatedb,
    'login', r.rolcanlogin,
    'replication', r.rolreplication,
    'bypass_rls', r.rolbypassrls,
    'connection_limit', r.rolconnlimit,
    -- As a session in UTC shows it, which the caller's need not be.
    'valid_until', CASE WHEN isfinite(r.rolvaliduntil) THEN to_json(r.rolvaliduntil AT TIME ZONE 'UTC') #>> '{}' || '+00:00'
                        ELSE r.rolvaliduntil::text END,
    'comment', shobj_description(r.oid, 'pg_authid'),
    'settings', coalesce(
        (SELECT to_json(s.setconfig) FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0), '[]'::json),
    'member_of', (
        -- Since PostgreSQL 16 there is one for each grantor.
        SELECT coalesce(json_agg(json_build_object(
            'role', pg_get_userbyid(m.roleid), 'admin', m.admin, 'inherit', m.inherit, 'set', m.set, 'granted', m.granted)
            ORDER BY m.roleid), '[]'::json)
        FROM (
            SELECT m.roleid, bool_or(m.admin_option) AS admin,
                   bool_or((to_jsonb(m)->>'inherit_option')::bool) AS inherit, bool_or((to_jsonb(m)->>'set_option')::bool) AS set,
                   -- The one that a superuser's GRANT changes; before PostgreSQL 16 there is no other.
                   json_agg(json_build_object('role', pg_get_userbyid(m.roleid), 'admin', m.admin_option,
                                              'inherit', to_jsonb(m)->'inherit_option', 'set', to_jsonb(m)->'set_option'))
                       FILTER (WHERE m.grantor = 10 OR NOT to_jsonb(m) ? 'oid') -> 0 AS granted
            FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid GROUP BY m.roleid) m),
    'ours', EXISTS (
        SELECT FROM timescale_migrate.made_log m
        JOIN timescale_migrate.run_log l ON l.id = m.run
        WHERE m.classid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND m.objid = r.oid AND l.state NOT IN ('done', 'removed')))::text
FROM pg_catalog.pg_roles r
