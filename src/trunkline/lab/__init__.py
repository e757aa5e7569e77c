"""Real chassis, a physical switch and VMs in network namespaces."""
