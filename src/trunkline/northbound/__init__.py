"""The client of the northbound: it asks, waits and writes, and needs no `ovs` package."""
