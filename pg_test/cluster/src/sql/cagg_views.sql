-- Run on either side. The views of continuous aggregates and their columns, quoted.
SELECT c.oid::regclass AS name, string_agg(quote_ident(t.attname), ', ' ORDER BY t.attname) AS columns
FROM _timescaledb_catalog.continuous_agg a
JOIN pg_namespace n ON n.nspname = a.user_view_schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = a.user_view_name
JOIN pg_attribute t ON t.attrelid = c.oid AND t.attnum > 0
GROUP BY c.oid
ORDER BY 1;
