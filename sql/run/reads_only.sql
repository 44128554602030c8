-- Whether a view reads this relation, and no other.
-- Run on: target. $1 the view, $2 the relation.
SELECT coalesce(every(d.refobjid = $2), false)
FROM pg_catalog.pg_rewrite w
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
WHERE w.ev_class = $1 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class
