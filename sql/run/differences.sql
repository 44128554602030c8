-- The differences between both sides, as text.
-- Run on: target. $1 run.
SELECT to_json(pg_catalog.format('%s: %s on the source, %s on the target%s', concat_ws(' of ', part, object),
       CASE source_rows WHEN 1 THEN '1 row' ELSE coalesce(source_rows::text, 'no table, so no') || ' rows' END,
       coalesce(target_rows::text, 'no table'),
       CASE WHEN source_rows = target_rows THEN ', checksums differ' ELSE '' END))::text
FROM timescale_migrate.verification_log WHERE run = $1 AND NOT same ORDER BY object, part
