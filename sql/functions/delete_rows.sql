-- Deleting rows of a table whether or not it has a replica identity.
-- Run at CREATE EXTENSION; called on the target by the coordinator and the workers. PostgreSQL 15 and later.
--
-- PostgreSQL refuses to delete from a table without one while it is in a publication of deletes, such as one FOR ALL TABLES. Some of
-- TimescaleDB's own tables have none; nor may a user's table that a resume copies again. Such a table gets the identity FULL for the time of
-- the statement.

-- Deletes the rows that `condition`, a WHERE clause, selects.
CREATE FUNCTION timescale_migrate.delete_rows(relation regclass, condition text DEFAULT '')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    identity constant text := (
        SELECT CASE c.relreplident WHEN 'n' THEN 'NOTHING' ELSE 'DEFAULT' END
        FROM pg_catalog.pg_class c
        WHERE c.oid = relation AND EXISTS (SELECT FROM pg_catalog.pg_publication)
          AND (c.relreplident = 'n'
               OR (c.relreplident = 'd'
                   AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))));
BEGIN
    IF identity IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', relation);
    END IF;
    -- Rules that fire even in the replica role are code of the table's owner.
    PERFORM timescale_migrate.execute_as_written(format('DELETE FROM ONLY %s %s', relation, condition),
                                                 (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = relation));
    IF identity IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', relation, identity);
    END IF;
END
$$;
