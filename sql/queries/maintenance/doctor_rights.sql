-- The rights of the connection's own user, with those of its role and of everybody (PUBLIC), as statements GRANT.
-- Shows line.
SHOW GRANTS
