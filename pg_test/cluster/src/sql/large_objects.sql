-- Run on either side. Large objects: owner, privileges and content.
SELECT 'large object ' || oid AS key,
       format('%s %s %s', pg_get_userbyid(lomowner), lomacl, md5(lo_get(oid))) AS value
FROM pg_largeobject_metadata;
