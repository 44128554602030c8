-- Copies to a chunk the properties of its hypertable that tables do not inherit.
-- Run at CREATE EXTENSION; called on the target by the functions of chunk.sql. TimescaleDB 2.19 and later, any edition.

-- Moves a table without rows to its tablespace; NULL is the database's own. TimescaleDB places chunks in turn in the
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

-- Gives a chunk the privileges of its hypertable, including those that were granted by a role other than the owner.
CREATE FUNCTION timescale_migrate.copy_privileges(hypertable regclass, chunk regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role constant text := current_setting('role');
    g record;
BEGIN
    -- Privileges that default privileges have granted, and the owner's, which may have been revoked in part on the hypertable.
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
        -- If a superuser grants a privilege, the owner is recorded as the grantor.
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

-- Whether a hypertable has anything that copy_dependents() gives to chunks.
CREATE FUNCTION timescale_migrate.has_dependents(hypertable regclass)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.relreplident <> 'd'
        OR EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x', 'f', 't'))
        OR EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid)
        OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname <> 'ts_insert_blocker')
    FROM pg_catalog.pg_class c WHERE c.oid = has_dependents.hypertable
$$;

-- Gives a chunk what its hypertable already has and tables do not inherit: the replica identity, constraints with an index, foreign keys,
-- indexes and triggers.
CREATE FUNCTION timescale_migrate.copy_dependents(hypertable regclass, chunk regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- As in create_chunks_by_catalog().
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET join_collapse_limit = 1
AS $$
DECLARE
    o record;
BEGIN
    -- Foreign keys are found by their triggers on both tables: pg_constraint has no index on the referenced table. Since 2.28 those of
    -- chunks depend on the hypertable's own in a way that no SQL command can make.
    IF EXISTS (
        SELECT FROM pg_catalog.pg_trigger t
        JOIN pg_catalog.pg_constraint f ON f.oid = t.tgconstraint
        WHERE t.tgrelid = hypertable AND f.contype = 'f' AND (f.confrelid = hypertable OR NOT timescale_migrate.has_constraint_rows())
    ) THEN
        RAISE EXCEPTION 'cannot create a chunk of "%" after its foreign keys', hypertable
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Drop the foreign keys of the hypertable and those that reference it, and add them when all chunks exist.';
    END IF;

    -- An index that is the replica identity is marked when it is made, if it still exists.
    SELECT c.relreplident INTO STRICT o FROM pg_catalog.pg_class c WHERE c.oid = hypertable;
    IF o.relreplident <> 'd' THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', chunk, CASE o.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END);
    END IF;

    PERFORM timescale_migrate.create_chunk_constraint(k.oid, chunk)
    FROM (
        SELECT c.oid FROM pg_catalog.pg_constraint c
        WHERE c.conrelid = hypertable AND c.contype IN ('p', 'u', 'x', 'f', 't')
        ORDER BY c.contype = 'f', c.oid OFFSET 0
    ) k;
    PERFORM timescale_migrate.create_chunk_index(i.indexrelid, chunk)
    FROM (
        SELECT x.indexrelid FROM pg_catalog.pg_index x
        WHERE x.indrelid = hypertable
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = hypertable AND k.conindid = x.indexrelid AND k.contype <> 'f')
        ORDER BY x.indexrelid OFFSET 0
    ) i;

    -- Statement triggers belong to the hypertable alone, and ts_insert_blocker (until 2.22) keeps rows out of its root.
    FOR o IN
        -- The first ON outside of quotes: a column's name may hold all that follows.
        SELECT t.tgname, t.tgenabled, d.definition, length(substring(d.definition FROM '^((?:[^"]|"[^"]*")*?) ON ')) AS head
        FROM pg_catalog.pg_trigger t CROSS JOIN pg_get_triggerdef(t.oid) d(definition)
        WHERE t.tgrelid = hypertable AND NOT t.tgisinternal AND t.tgtype & 1 = 1 AND t.tgname <> 'ts_insert_blocker'
        ORDER BY t.oid
    LOOP
        PERFORM timescale_migrate.execute_as_written(
            left(o.definition, o.head) || format(' ON %s ', chunk)
                || substr(o.definition, o.head + length(format(' ON %s ', hypertable)) + 1),
            (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = hypertable));
        IF o.tgenabled <> 'O' THEN
            EXECUTE format('ALTER TABLE %s %s TRIGGER %I', chunk,
                           CASE o.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, o.tgname);
        END IF;
    END LOOP;
END
$$;
