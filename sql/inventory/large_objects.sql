-- Large objects with owner and privileges. Their number and size together are in database.sql.
-- Run on: source and target. PostgreSQL 13 and later.
-- Returns: one JSON object per large object, by oid. `acl` is null where it was never changed; a null grantee is PUBLIC.
SELECT json_build_object(
    'oid', l.oid::int8,
    'owner', pg_get_userbyid(l.lomowner),
    'comment', obj_description(l.oid, 'pg_largeobject'),
    'acl', CASE WHEN l.lomacl IS NOT NULL THEN (
        SELECT coalesce(json_agg(json_build_object(
            'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
            'grantor', pg_get_userbyid(a.grantor),
            'privilege', a.privilege_type,
            'grantable', a.is_grantable)), '[]'::json)
        FROM aclexplode(l.lomacl) a) END
)::text
FROM pg_catalog.pg_largeobject_metadata l
ORDER BY l.oid
