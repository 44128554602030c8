-- What a chunk takes over from its hypertable besides its columns.
-- Run at CREATE EXTENSION; called on the target by the functions of chunk.sql. TimescaleDB 2.19 and later, any edition.

-- Moves a table without rows to where it shall be; NULL is the database's own tablespace. TimescaleDB places chunks in turn in the
-- tablespaces attached to the hypertable, else beside its root.
CREATE FUNCTION timescale_migrate.set_tablespace(relation regclass, tablespace name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    place record;
BEGIN
    SELECT s.spcname AS current, (
        SELECT b.spcname FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace b ON b.oid = d.dattablespace
        WHERE d.datname = current_database()) AS standard
    INTO STRICT place
    FROM pg_catalog.pg_class c
    LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace
    WHERE c.oid = relation;
    IF coalesce(place.current, place.standard) <> coalesce(tablespace, place.standard) THEN
        EXECUTE format('ALTER TABLE ONLY %s SET TABLESPACE %I', relation, coalesce(tablespace, place.standard));
    END IF;
END
$$;

-- Gives a chunk the privileges of its hypertable, those that were passed on by someone else than the owner included.
CREATE FUNCTION timescale_migrate.copy_privileges(hypertable regclass, chunk regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role constant text := current_setting('role');
    g record;
BEGIN
    -- What default privileges have granted; and what the owner has, in case some of it was taken from them on the hypertable.
    FOR g IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_class h ON h.oid = copy_privileges.hypertable
        CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
        WHERE c.oid = copy_privileges.chunk AND (a.grantee <> c.relowner OR h.relacl IS NOT NULL)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', chunk, g.grantee);
    END LOOP;

    FOR g IN
        SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
               CASE WHEN a.grantor <> c.relowner THEN pg_get_userbyid(a.grantor) END AS grantor,
               a.privilege_type,
               CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option
        FROM pg_catalog.pg_class c, aclexplode(c.relacl) WITH ORDINALITY a
        WHERE c.oid = copy_privileges.hypertable
        ORDER BY a.ordinality
    LOOP
        -- A superuser grants in the owner's name.
        IF g.grantor IS NOT NULL THEN
            PERFORM set_config('role', g.grantor, true);
        END IF;
        EXECUTE format('GRANT %s ON %s TO %s%s', g.privilege_type, chunk, g.grantee, g.option);
        IF g.grantor IS NOT NULL THEN
            PERFORM set_config('role', role, true);
        END IF;
    END LOOP;
END
$$;

-- Gives a chunk what its hypertable already has and tables do not inherit: constraints with an index, foreign keys, indexes, triggers and
-- the replica identity, under the names that TimescaleDB finds them by.
CREATE FUNCTION timescale_migrate.copy_dependents(hypertable regclass, chunk regclass, hypertable_id integer, chunk_id integer)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- As in create_chunk_by_catalog().
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET join_collapse_limit = 1
AS $$
DECLARE
    -- Until 2.27 each constraint of a chunk has a row in chunk_constraint. Since 2.28 it is found by its name, and foreign keys are tied to
    -- the hypertable's own in a way that no SQL command can make.
    has_constraint_rows constant boolean := EXISTS (
        SELECT FROM pg_catalog.pg_class WHERE oid = to_regclass('_timescaledb_catalog.chunk_constraint') AND relkind = 'r');
    -- Until 2.21 each index of a chunk has a row. Since 2.22 it is found by what it is.
    has_index_rows constant boolean := to_regclass('_timescaledb_catalog.chunk_index') IS NOT NULL;
    o record;
    new_name name;
    replica_index name;
    number integer;
BEGIN
    -- Through its triggers, on both sides of a foreign key: pg_constraint has no index on the referenced table.
    IF EXISTS (
        SELECT FROM pg_catalog.pg_trigger t
        JOIN pg_catalog.pg_constraint f ON f.oid = t.tgconstraint
        WHERE t.tgrelid = hypertable AND f.contype = 'f' AND (f.confrelid = hypertable OR NOT has_constraint_rows)
    ) THEN
        RAISE EXCEPTION 'cannot create a chunk of "%" after its foreign keys', hypertable
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Drop the foreign keys of the hypertable and those that reference it, and add them when all chunks exist.';
    END IF;

    FOR o IN
        SELECT c.oid, c.conname, c.contype, i.relname AS index, s.spcname AS tablespace, coalesce(x.indisreplident, false) AS replica
        FROM pg_catalog.pg_constraint c
        LEFT JOIN pg_catalog.pg_class i ON i.oid = c.conindid AND c.contype <> 'f'
        LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = i.oid
        LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = i.reltablespace
        WHERE c.conrelid = hypertable AND c.contype IN ('p', 'u', 'x', 'f', 't')
        ORDER BY c.contype = 'f', c.oid
    LOOP
        IF has_constraint_rows THEN
            new_name := format('%s_%s_%s', chunk_id, nextval('_timescaledb_catalog.chunk_constraint_name'), o.conname);
            INSERT INTO _timescaledb_catalog.chunk_constraint VALUES (chunk_id, NULL, new_name, o.conname);
        ELSE
            new_name := format('%s_%s', chunk_id, o.conname);
        END IF;
        -- Constraint triggers are created with the triggers.
        IF o.contype <> 't' THEN
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', chunk, new_name, pg_get_constraintdef(o.oid));
        END IF;
        IF o.tablespace IS NOT NULL THEN
            EXECUTE format('ALTER INDEX %I.%I SET TABLESPACE %I',
                           (SELECT relnamespace::regnamespace FROM pg_catalog.pg_class WHERE oid = chunk), new_name, o.tablespace);
        END IF;
        IF has_index_rows AND o.index IS NOT NULL THEN
            INSERT INTO _timescaledb_catalog.chunk_index VALUES (chunk_id, new_name, hypertable_id, o.index);
        END IF;
        IF o.replica THEN
            replica_index := new_name;
        END IF;
    END LOOP;

    FOR o IN
        SELECT i.oid, i.relname, s.spcname AS tablespace, x.indisreplident AS replica,
               substr(pg_get_indexdef(i.oid),
                      length(format('CREATE %sINDEX %I ON %s ', CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname, hypertable)) + 1
               ) AS definition,
               CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END AS uniqueness,
               c.relname AS chunk, c.relnamespace AS schema
        FROM pg_catalog.pg_index x
        JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        JOIN pg_catalog.pg_class c ON c.oid = copy_dependents.chunk
        LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = i.reltablespace
        WHERE x.indrelid = hypertable
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = hypertable AND k.conindid = i.oid AND k.contype <> 'f')
        ORDER BY i.oid
    LOOP
        number := 0;
        new_name := o.chunk || '_' || o.relname;
        -- Long names are cut, and may then be the same.
        WHILE EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = o.schema AND relname = new_name) LOOP
            number := number + 1;
            new_name := o.chunk || '_' || number || '_' || o.relname;
        END LOOP;
        EXECUTE format('CREATE %sINDEX %I ON %s %s', o.uniqueness, new_name, chunk, o.definition);
        IF o.tablespace IS NOT NULL THEN
            EXECUTE format('ALTER INDEX %s.%I SET TABLESPACE %I', o.schema::regnamespace, new_name, o.tablespace);
        END IF;
        IF has_index_rows THEN
            INSERT INTO _timescaledb_catalog.chunk_index VALUES (chunk_id, new_name, hypertable_id, o.relname);
        END IF;
        IF o.replica THEN
            replica_index := new_name;
        END IF;
    END LOOP;

    -- Statement triggers stay with the hypertable, and ts_insert_blocker (until 2.22) is what keeps rows out of it.
    FOR o IN
        SELECT t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) AS definition,
               length(format('CREATE %sTRIGGER %I ', CASE WHEN t.tgconstraint <> 0 THEN 'CONSTRAINT ' ELSE '' END, t.tgname)) AS head
        FROM pg_catalog.pg_trigger t
        WHERE t.tgrelid = hypertable AND NOT t.tgisinternal AND t.tgtype & 1 = 1 AND t.tgname <> 'ts_insert_blocker'
        ORDER BY t.oid
    LOOP
        EXECUTE left(o.definition, o.head)
            || overlay(substr(o.definition, o.head + 1) PLACING format(' ON %s ', chunk)
                       FROM position(format(' ON %s ', hypertable) IN substr(o.definition, o.head + 1))
                       FOR length(format(' ON %s ', hypertable)));
        IF o.tgenabled <> 'O' THEN
            EXECUTE format('ALTER TABLE %s %s TRIGGER %I', chunk,
                           CASE o.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, o.tgname);
        END IF;
    END LOOP;

    SELECT c.relreplident INTO STRICT o FROM pg_catalog.pg_class c WHERE c.oid = hypertable;
    IF o.relreplident <> 'd' THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', chunk,
                       CASE WHEN o.relreplident = 'f' THEN 'FULL'
                            WHEN replica_index IS NOT NULL THEN format('USING INDEX %I', replica_index)
                            ELSE 'NOTHING' END);
    END IF;
END
$$;
