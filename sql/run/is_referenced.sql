-- Whether foreign keys refer to a table. A table without triggers has none, and the constraints need not be searched.
-- Run on: target. $1 table.
SELECT CASE WHEN relhastriggers
    THEN EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = $1 AND contype = 'f') END
FROM pg_catalog.pg_class WHERE oid = $1
