#!/bin/sh
# Run once by the postgres image, when its volume is new: the roles and the database that eng/postgres makes for a private cluster.
# The host's role owns nothing, so that it can neither change tables nor the ledger's entries; migrations run as the owner.
set -eu

psql -v ON_ERROR_STOP=1 -v owner_password="$VOICEPLATFORM_OWNER_PASSWORD" -v host_password="$VOICEPLATFORM_HOST_PASSWORD" \
  --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE voiceplatform_owner LOGIN CREATEROLE PASSWORD :'owner_password';
CREATE ROLE voiceplatform_app NOLOGIN;
CREATE ROLE voiceplatform_host LOGIN PASSWORD :'host_password' IN ROLE voiceplatform_app;
CREATE DATABASE voiceplatform OWNER voiceplatform_owner;
SQL
