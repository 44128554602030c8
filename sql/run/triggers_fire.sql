-- Whether all of these triggers of a relation fire in the replica role too, or none of them does.
-- Run on: target. $1 the relation, $2 the triggers' names, quoted as in SQL, $3 whether they are to fire.
SELECT count(*) FILTER (WHERE t.tgenabled IN ('A', 'R')) = CASE WHEN $3 THEN cardinality($2) ELSE 0 END
FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND pg_catalog.quote_ident(t.tgname) = ANY ($2)
