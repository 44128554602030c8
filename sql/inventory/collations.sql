-- The providers, locales and versions of collations.
-- Run on: source and target. PostgreSQL 13 and later, with or without TimescaleDB.
-- :wanted stands for a condition: to ask a library for the versions of all its locales, of which there are 800, takes a tenth of a second.
-- Returns: one JSON object per collation.
--
-- Two collations order alike if provider, locale and version are the same, and version is not null: PostgreSQL cannot tell the version
-- of every C library's locales. Those that order by code points have none and need none; `version` then says so.
SELECT json_build_object(
    'name', format('%I.%I', n.nspname, l.collname),
    'provider', x.provider,
    'locale', x.locale,
    'version', coalesce(pg_collation_actual_version(l.oid),
                        CASE WHEN x.provider = 'c' AND upper(x.locale) IN ('C', 'POSIX', 'C.UTF-8', 'C.UTF8') THEN 'code points' END)
)::text
FROM pg_catalog.pg_collation l
JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
JOIN pg_catalog.pg_database d ON d.datname = current_database()
-- Columns by name through JSON: they came with PostgreSQL 15, and some were renamed in 17.
CROSS JOIN LATERAL (
    SELECT CASE WHEN l.collprovider = 'd' THEN coalesce(to_jsonb(d)->>'datlocprovider', 'c') ELSE l.collprovider::text END AS provider,
           CASE WHEN l.collprovider <> 'd' THEN
                    coalesce(to_jsonb(l)->>'colllocale', to_jsonb(l)->>'colliculocale', l.collcollate) || coalesce(to_jsonb(l)->>'collicurules', '')
                WHEN to_jsonb(d)->>'datlocprovider' <> 'c' THEN coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale')
                ELSE d.datcollate END AS locale
) x
WHERE l.collencoding IN (-1, d.encoding) AND :wanted
ORDER BY 1
