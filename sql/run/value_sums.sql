-- The expressions for the checksum of each value of a relation's rows, for rows that have no text form because it would be larger than 1 GB.
-- For a portable type, the binary form is used, as by COPY; NULL stays NULL.
-- Run on: target. $1 relation. Begins with portable_types.sql.
-- Returns: one JSON string per column of rows `t`.
SELECT to_json(CASE
           WHEN EXISTS (SELECT FROM portable p WHERE p.type = a.atttypid) THEN format('md5(%I.%I(t.%I))', n.nspname, s.proname, a.attname)
           ELSE format('md5(convert_to(ROW(t.%I)::text, ''UTF8''))', a.attname) END)::text
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_proc s ON s.oid = t.typsend
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = s.pronamespace
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
