-- The roles that this database needs: those that own or are granted anything in it, are named by its policies, default privileges,
-- user mappings or settings, or own one of its jobs; the members of these, which may have their rights only by membership; and every role
-- that those are members of, with the grantors of these memberships.
-- Run on: source. PostgreSQL 13 and later. :owners stands for an array of the names of the jobs' owners, :objects for NULL, or where only a part
-- of the database arrives, for a JSON array of [OID of the catalog, OID]: then what the roles have elsewhere does not count. :unwanted stands for
-- such an array of what does not arrive.
-- Returns: one JSON object per role, by name. Passwords are in role_passwords.sql.
--
-- `bootstrap` is the superuser that initdb made; `predefined` are the pg_* roles that every server of that version has. Dependencies on
-- both are not recorded in pg_shdepend, so owners are read from the catalogs for the first and memberships lead to the second.
WITH RECURSIVE object(class, oid) AS (
    SELECT (o->>0)::oid, (o->>1)::oid FROM json_array_elements(:objects::json) o
),
unwanted(class, oid) AS (
    SELECT (o->>0)::oid, (o->>1)::oid FROM json_array_elements(:unwanted::json) o
),
used_by_objects(role) AS (
    SELECT s.refobjid
    FROM pg_catalog.pg_shdepend s
    JOIN pg_catalog.pg_database d ON d.oid = s.dbid AND d.datname = current_database()
    JOIN object o ON o.class = s.classid AND o.oid = s.objid
    WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass
    -- What this one owns is not recorded.
    UNION SELECT 10
    UNION SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY (:owners)
),
used_by_database(role) AS (
    SELECT s.refobjid
    FROM pg_catalog.pg_shdepend s
    JOIN pg_catalog.pg_database d ON d.datname = current_database()
    WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass
      AND (s.dbid = d.oid OR (s.dbid = 0 AND s.classid = 'pg_catalog.pg_database'::regclass AND s.objid = d.oid))
    UNION SELECT datdba FROM pg_catalog.pg_database WHERE datname = current_database()
    UNION SELECT setrole FROM pg_catalog.pg_db_role_setting s
          JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database() WHERE s.setrole <> 0
    UNION SELECT relowner FROM pg_catalog.pg_class WHERE oid >= 16384
    UNION SELECT nspowner FROM pg_catalog.pg_namespace WHERE oid >= 16384 OR nspname = 'public'
    UNION SELECT proowner FROM pg_catalog.pg_proc WHERE oid >= 16384
    UNION SELECT typowner FROM pg_catalog.pg_type WHERE oid >= 16384
    UNION SELECT oprowner FROM pg_catalog.pg_operator WHERE oid >= 16384
    UNION SELECT opcowner FROM pg_catalog.pg_opclass WHERE oid >= 16384
    UNION SELECT opfowner FROM pg_catalog.pg_opfamily WHERE oid >= 16384
    UNION SELECT collowner FROM pg_catalog.pg_collation WHERE oid >= 16384
    UNION SELECT conowner FROM pg_catalog.pg_conversion WHERE oid >= 16384
    UNION SELECT dictowner FROM pg_catalog.pg_ts_dict WHERE oid >= 16384
    UNION SELECT cfgowner FROM pg_catalog.pg_ts_config WHERE oid >= 16384
    UNION SELECT stxowner FROM pg_catalog.pg_statistic_ext
    UNION SELECT lanowner FROM pg_catalog.pg_language WHERE oid >= 16384
    UNION SELECT fdwowner FROM pg_catalog.pg_foreign_data_wrapper
    UNION SELECT srvowner FROM pg_catalog.pg_foreign_server
    UNION SELECT umuser FROM pg_catalog.pg_user_mappings WHERE umuser <> 0
    UNION SELECT evtowner FROM pg_catalog.pg_event_trigger
    UNION SELECT pubowner FROM pg_catalog.pg_publication
    UNION SELECT defaclrole FROM pg_catalog.pg_default_acl
    UNION SELECT lomowner FROM pg_catalog.pg_largeobject_metadata
    UNION SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY (:owners)
),
used(role) AS (
    SELECT role FROM used_by_database WHERE :objects::json IS NULL
    UNION SELECT role FROM used_by_objects WHERE :objects::json IS NOT NULL
),
-- What may name a role.
arriving(class, oid) AS (
    SELECT a.class, a.oid
    FROM (SELECT 'pg_catalog.pg_class'::regclass::oid, polrelid FROM pg_catalog.pg_policy
          UNION SELECT 'pg_catalog.pg_foreign_server'::regclass, oid FROM pg_catalog.pg_foreign_server) a(class, oid)
    WHERE (:objects::json IS NULL OR (a.class, a.oid) IN (SELECT class, oid FROM object))
      AND (a.class, a.oid) NOT IN (SELECT class, oid FROM unwanted)
),
-- Members of predefined roles are those of the whole server.
entitled(role) AS (
    SELECT role FROM used
    UNION
    SELECT m.member FROM entitled e JOIN pg_catalog.pg_auth_members m ON m.roleid = e.role WHERE e.role >= 16384
),
needed(role) AS (
    SELECT role FROM entitled
    UNION
    SELECT unnest(ARRAY[m.roleid, m.grantor]) FROM needed n JOIN pg_catalog.pg_auth_members m ON m.member = n.role
),
-- Who owns (o) or is granted (a) something of what arrives.
holds(role, kind) AS (
    SELECT s.refobjid, s.deptype
    FROM pg_catalog.pg_shdepend s
    JOIN pg_catalog.pg_database d ON d.datname = current_database()
    WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass
      AND CASE WHEN :objects::json IS NULL
               THEN s.dbid = d.oid OR (s.dbid = 0 AND s.classid = 'pg_catalog.pg_database'::regclass AND s.objid = d.oid)
               ELSE s.dbid = d.oid AND (s.classid, s.objid) IN (SELECT class, oid FROM object) END
)
SELECT json_build_object(
    'oid', r.oid::int8,
    'name', r.rolname,
    'bootstrap', r.oid = 10,
    'predefined', r.oid < 16384 AND r.rolname LIKE 'pg\_%',
    -- Used itself, not listed only because of memberships.
    'used', r.oid IN (SELECT role FROM used),
    'owns', r.oid = 10 OR r.rolname = ANY (:owners) OR r.oid IN (SELECT role FROM holds WHERE kind = 'o'),
    'granted', r.oid IN (SELECT role FROM holds WHERE kind = 'a'),
    'superuser', r.rolsuper,
    'inherit', r.rolinherit,
    'create_role', r.rolcreaterole,
    'create_db', r.rolcreatedb,
    'login', r.rolcanlogin,
    'replication', r.rolreplication,
    'bypass_rls', r.rolbypassrls,
    'connection_limit', r.rolconnlimit,
    'valid_until', r.rolvaliduntil,
    -- Named by an object's definition, not only by its owner or privileges.
    'named', EXISTS (
            SELECT FROM pg_catalog.pg_policy p
            WHERE r.oid = ANY (p.polroles) AND ('pg_catalog.pg_class'::regclass, p.polrelid) IN (SELECT class, oid FROM arriving)
        ) OR EXISTS (
            SELECT FROM pg_catalog.pg_user_mappings u
            WHERE u.umuser = r.oid AND ('pg_catalog.pg_foreign_server'::regclass, u.srvid) IN (SELECT class, oid FROM arriving)),
    'comment', shobj_description(r.oid, 'pg_authid'),
    'settings', coalesce(
        (SELECT to_json(s.setconfig) FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0), '[]'::json),
    'member_of', (
        -- Since PostgreSQL 16 there is one for each grantor; here they are one, of the only grantor if there is one that may grant it.
        SELECT coalesce(json_agg(json_build_object(
            'role', pg_get_userbyid(m.roleid), 'admin', m.admin, 'inherit', m.inherit, 'set', m.set, 'grantor', (
                SELECT g.rolname FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid = a.member
                WHERE a.roleid = m.roleid AND a.member = m.grantor AND a.admin_option AND g.oid <> 10 LIMIT 1)
            ) ORDER BY m.roleid), '[]'::json)
        FROM (
            SELECT m.roleid, CASE WHEN count(*) = 1 THEN min(m.grantor) END AS grantor, bool_or(m.admin_option) AS admin,
                   -- Options of a membership exist since PostgreSQL 16.
                   bool_or((to_jsonb(m)->>'inherit_option')::bool) AS inherit, bool_or((to_jsonb(m)->>'set_option')::bool) AS set
            FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid GROUP BY m.roleid) m)
)::text
FROM pg_catalog.pg_roles r
WHERE r.oid IN (SELECT role FROM needed)
ORDER BY r.rolname
