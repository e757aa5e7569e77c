"""OVSDB: the northbound database and the local switch's database. The only importer of `ovs.db`."""
