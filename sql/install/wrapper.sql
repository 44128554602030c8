-- Where sources are named: servers and user mappings keep connection parameters and credentials as postgres_fdw's do.
-- There is no handler: nothing can be scanned through it.
CREATE FOREIGN DATA WRAPPER timescale_migrate VALIDATOR timescale_migrate.validator;
COMMENT ON FOREIGN DATA WRAPPER timescale_migrate IS 'servers and user mappings that name sources; nothing can be scanned';
