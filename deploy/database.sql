-- Run once by the image of PostgreSQL, as its superuser, when the database is made. See docs/production.md.
\set ON_ERROR_STOP on
\getenv password POSTGRES_PASSWORD
CREATE ROLE synqmgr LOGIN PASSWORD :'password';
CREATE ROLE synqmgr_tenant NOLOGIN;
GRANT synqmgr_tenant TO synqmgr;
CREATE DATABASE synqmgr OWNER synqmgr ENCODING 'UTF8';
ALTER ROLE CURRENT_USER PASSWORD NULL; -- it is reached from inside of the container alone
