-- Every membership of this server, with who has granted it.
-- Run on: target. PostgreSQL 15 and later; before 16 a membership has one grantor, and no options but ADMIN.
-- Returns: one JSON object per membership.
SELECT json_build_object(
    'role', pg_get_userbyid(m.roleid),
    'member', pg_get_userbyid(m.member),
    'grantor', pg_get_userbyid(m.grantor),
    -- By the superuser that initdb made, in whose name every superuser grants since PostgreSQL 16.
    'own', m.grantor = 10,
    'admin', m.admin_option,
    'inherit', to_jsonb(m)->'inherit_option',
    'set', to_jsonb(m)->'set_option')::text
FROM pg_catalog.pg_auth_members m
ORDER BY m.roleid, m.member, m.grantor
