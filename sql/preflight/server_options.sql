-- The options of a foreign server, then those of the user mapping that this role has, or else of PUBLIC's.
-- Run on: target. $1 the server's name.
SELECT json_build_array(o.option_name, o.option_value)::text
FROM pg_catalog.pg_foreign_server s,
     LATERAL (SELECT s.srvoptions AS options, 0 AS rank
              UNION ALL
              (SELECT m.umoptions, 1 FROM pg_catalog.pg_user_mapping m
               WHERE m.umserver = s.oid
                 AND m.umuser IN (0, (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user))
               ORDER BY m.umuser DESC LIMIT 1)) x,
     LATERAL pg_catalog.pg_options_to_table(x.options) o
WHERE s.srvname = $1 ORDER BY x.rank
