-- Statements that drop a foreign key, also if it was made on each partition by itself.
-- Run on: target. $1 the table, $2 the referenced table, each quoted as in SQL; $3 the key's name.
SELECT to_json(pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::pg_catalog.regclass, k.conname))::text
FROM pg_catalog.pg_constraint k
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conname = $3 AND k.confrelid = pg_catalog.to_regclass($2)
  AND (k.conrelid = pg_catalog.to_regclass($1)
       OR k.conrelid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) p))
