SELECT @@datadir AS datadir, @@version AS version, @@log_bin AS log_bin
