-- What the caller's default privileges give to other roles, or take from PUBLIC.
-- Run on: target. PostgreSQL 15 and later.
-- Returns: one JSON object per grant or revocation. `objects` and `schema` as in ALTER DEFAULT PRIVILEGES; a grantee of null is PUBLIC.
SELECT json_build_object(
    'objects', CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                                    WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END,
    'schema', n.nspname,
    'role', d.defaclrole::regrole::text,
    'given', g.given,
    'grantee', CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee) END,
    'privileges', string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type))::text
FROM pg_catalog.pg_default_acl d
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL (
    SELECT acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole) AS acl) initial
CROSS JOIN LATERAL (
    SELECT a.grantee, a.privilege_type, true AS given
    FROM aclexplode(d.defaclacl) a
    WHERE NOT EXISTS (SELECT FROM aclexplode(initial.acl) i WHERE (i.grantee, i.privilege_type) = (a.grantee, a.privilege_type))
    UNION ALL
    -- Of one schema they are only added.
    SELECT i.grantee, i.privilege_type, false
    FROM aclexplode(initial.acl) i
    WHERE d.defaclnamespace = 0
      AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) a WHERE (a.grantee, a.privilege_type) = (i.grantee, i.privilege_type))) g
WHERE d.defaclrole = current_user::regrole AND g.grantee <> d.defaclrole
GROUP BY d.oid, d.defaclobjtype, d.defaclrole, n.nspname, g.given, g.grantee
ORDER BY n.nspname, d.defaclobjtype, g.given, g.grantee
