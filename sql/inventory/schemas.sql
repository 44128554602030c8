-- The schemas of users, including `public`, whose owner, privileges and comment a run may change.
-- Run on: target.
-- Returns: one JSON object per schema. `acl` as in inventory/database.sql.
SELECT json_build_object(
    'name', n.nspname,
    'owner', pg_get_userbyid(n.nspowner),
    'comment', obj_description(n.oid, 'pg_namespace'),
    'acl', CASE WHEN n.nspacl IS NOT NULL THEN (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
            'privilege', a.privilege_type,
            'grantable', a.is_grantable)), '[]'::json)
        FROM aclexplode(n.nspacl) a) END)::text
FROM pg_catalog.pg_namespace n
WHERE n.oid >= 16384 OR n.nspname = 'public'
